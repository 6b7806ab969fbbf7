;; A reactor: stays in memory and has its exported function called. It gives a JSON text back in capital letters, and counts.
(module
  (import "orb" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "called again")
  (global $calls (mut i32) (i32.const 0))
  (global $free (mut i32) (i32.const 1024))

  ;; Room for the input of one call. This one starts afresh each time; a real one has an allocator, and exports orb_free.
  (func (export "orb_alloc") (param $bytes i32) (result i32)
    (local $missing i32)
    (local.set $missing (i32.sub (i32.add (i32.const 1024) (local.get $bytes)) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $missing) (i32.const 0)) (then
      (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $missing) (i32.const 65536)))))))
    (i32.const 1024))

  ;; Address above, length below: what the caller gets.
  (func (export "handle") (param $at i32) (param $bytes i32) (result i64)
    (local $i i32) (local $place i32) (local $byte i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.gt_u (global.get $calls) (i32.const 1)) (then (call $log (i32.const 1) (i32.const 16) (i32.const 12))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $bytes)))
        (local.set $place (i32.add (local.get $at) (local.get $i)))
        (local.set $byte (i32.load8_u (local.get $place)))
        (if (i32.lt_u (i32.sub (local.get $byte) (i32.const 97)) (i32.const 26)) (then
          (i32.store8 (local.get $place) (i32.sub (local.get $byte) (i32.const 32)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $bytes)))))
