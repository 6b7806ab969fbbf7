;; A WASI command, as `wc` is one: counts the lines, words and bytes of standard input. With the argument `-l`, the lines alone.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; 0: address and length of a buffer, 8: bytes read or written, 16: number and size of the arguments,
  ;; 64: text that is written, 1024: arguments, 65536: what was read
  (memory (export "memory") 2)
  (data (i32.const 32) "unknown option\n")

  (global $lines (mut i32) (i32.const 0))
  (global $words (mut i32) (i32.const 0))
  (global $bytes (mut i32) (i32.const 0))
  (global $inWord (mut i32) (i32.const 0))
  (global $end (mut i32) (i32.const 64))

  (func (export "_start")
    (local $onlyLines i32)
    (local.set $onlyLines (call $option))
    (loop $more
      (call $setBuffer (i32.const 65536) (i32.const 65536))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (call $count (i32.load (i32.const 8)))
      (br_if $more (i32.load (i32.const 8))))
    (call $number (global.get $lines))
    (if (i32.eqz (local.get $onlyLines)) (then
      (call $char (i32.const 32)) (call $number (global.get $words))
      (call $char (i32.const 32)) (call $number (global.get $bytes))))
    (call $char (i32.const 10))
    (call $write (i32.const 1) (i32.const 64) (i32.sub (global.get $end) (i32.const 64))))

  ;; 1 for -l, 0 without an argument; anything else is a failure with a word on standard error.
  (func $option (result i32)
    (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (if (i32.lt_u (i32.load (i32.const 16)) (i32.const 2)) (then (return (i32.const 0))))
    (if (i32.gt_u (i32.load (i32.const 20)) (i32.const 4096)) (then (call $refuse)))
    (drop (call $args_get (i32.const 1024) (i32.const 2048)))
    ;; "-l" and the NUL after it, read as one number of 24 bits
    (if (i32.ne (i32.and (i32.load (i32.load (i32.const 1028))) (i32.const 0xffffff)) (i32.const 0x006c2d)) (then (call $refuse)))
    (i32.const 1))

  (func $refuse
    (call $write (i32.const 2) (i32.const 32) (i32.const 15))
    (call $proc_exit (i32.const 2))
    unreachable)

  (func $count (param $length i32)
    (local $at i32) (local $byte i32) (local $space i32)
    (global.set $bytes (i32.add (global.get $bytes) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $length)))
        (local.set $byte (i32.load8_u offset=65536 (local.get $at)))
        (global.set $lines (i32.add (global.get $lines) (i32.eq (local.get $byte) (i32.const 10))))
        (local.set $space (i32.or (i32.eq (local.get $byte) (i32.const 32))
          (i32.lt_u (i32.sub (local.get $byte) (i32.const 9)) (i32.const 5))))
        (global.set $words (i32.add (global.get $words)
          (i32.and (i32.eqz (local.get $space)) (i32.eqz (global.get $inWord)))))
        (global.set $inWord (i32.eqz (local.get $space)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))

  (func $number (param $value i32)
    (if (i32.ge_u (local.get $value) (i32.const 10)) (then (call $number (i32.div_u (local.get $value) (i32.const 10)))))
    (call $char (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10)))))

  (func $char (param $byte i32)
    (i32.store8 (global.get $end) (local.get $byte))
    (global.set $end (i32.add (global.get $end) (i32.const 1))))

  (func $setBuffer (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length)))

  (func $write (param $fd i32) (param $at i32) (param $length i32)
    (call $setBuffer (local.get $at) (local.get $length))
    (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))))
