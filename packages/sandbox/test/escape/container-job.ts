import type { Attempt, Column } from './tries.ts';

const own = 'a file system of its own';
const none = 'no network';
const limit = 'the limit of an answer';
const clock = 'the host’s clock';
const tail = 'the end of its process tree';
const timedOut = { outcome: 'timed-out', error: /did not answer within \d+ ms/, timeoutMs: 300 } as const;
const large = { outcome: 'response-too-large', error: /more than \d+ bytes/ } as const;
const ok = (name: string, layer: string, code: string, says: RegExp): Attempt => ({ name, layer, code, outcome: 'ok', says });
const shell = 'An image brings its own programs; what they call of the kernel is in the other rows.';
const pipe = 'Standard output of a job is its answer, byte for byte: there are no frames of a function’s on it.';

/** A shell of BusyBox in a container of its own for each call. */
export const containerJob: Column = {
  files: [
    ok(
      'written to the root',
      'the read-only root',
      'touch /x /bin/x /etc/hosts /etc/x 2>&1; echo',
      /((Read-only file system|Permission denied)[^]*){3}/,
    ),
    ok(
      'of the kernel',
      'the engine’s masked paths',
      'echo 1 > /proc/sys/kernel/sysrq; echo b > /proc/sysrq-trigger; echo x > /sys/kernel/uevent_helper; echo still here',
      /^still here\n$/,
    ),
    ok(
      'of disks and memory',
      'no devices',
      'head -c 10 /proc/kcore /dev/mem /dev/vda /dev/sda 2>/dev/null; ls /dev | tr "\\n" " "',
      /^(?!.*(sd[a-z]|vd[a-z]|mem|kmsg|fuse))/,
    ),
    ok(
      'mounted',
      'no capabilities',
      'mount -t tmpfs none /tmp 2>&1; mount -o remount,rw / 2>&1; true',
      /(permission denied[^]*){2}|not permitted/i,
    ),
    ok(
      'filling the disk',
      'the sized tmpfs',
      'dd if=/dev/zero of=/tmp/x bs=1M count=500 2>&1; echo; df -m /tmp',
      /No space left[^]*\s64\s/,
    ),
    ok(
      'filling the disk with empty ones',
      'the inodes of the tmpfs',
      'i=0; while [ $i -lt 20000 ]; do echo > /tmp/$i || break; i=$((i+1)); done 2>/dev/null; [ $i -lt 17000 ] && echo stopped',
      /stopped/,
    ),
    ok('kept open by the thousand', 'the limit of open files', 'ulimit -n; ulimit -H -n', /^1024\n1024\n$/),
  ],
  symlinks: [
    ok(
      'to files of the host',
      own,
      'for to in /var/run/docker.sock /etc/shadow /proc/1/root/etc/hostname; do ln -sf $to /tmp/link; cat /tmp/link; done 2>&1; ln -sf /proc/1/root /tmp/root; ls /tmp/root/',
      /^(?![^]*(root:|PRIVATE|vitest|packages))[^]*No such file[^]*bin/,
    ),
  ],
  environment: [
    ok('read', 'an environment of its own', 'env | cut -d= -f1 | sort | tr "\\n" " "', /^(HOME |HOSTNAME |ORB_\w+ |PATH |PWD |SHLVL )+$/),
  ],
  'other processes': [ok('listed', 'a process tree of its own', 'ps -o pid,args; echo', /^(?![^]*(vitest|dockerd|relay))/)],
  signals: [
    {
      name: 'to all that it can see',
      layer: 'a process tree of its own',
      code: 'kill -9 -1; echo',
      outcome: /ok|function-failed/,
      error: /ended/,
    },
    ok(
      'to become root first',
      'no capabilities, no new privileges, seccomp',
      'id; grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status',
      /^uid=65534 gid=65534[^]*CapBnd:\s0+\n[^]*NoNewPrivs:\s1\n[^]*Seccomp:\s2/,
    ),
    { name: 'ignored', layer: 'SIGKILL by the engine', code: 'trap "" TERM INT HUP QUIT; while :; do sleep 1; done', ...timedOut },
    {
      name: 'that dump memory to a file',
      layer: 'the limit of core dumps',
      code: 'ulimit -c; sh -c "kill -SEGV \\$\\$"; exit $?',
      error: /signal 11|code 139/,
    },
  ],
  'TCP sockets': [
    ok('to the internet', none, 'nc -w 2 1.1.1.1 80 2>&1; echo', /can't connect/),
    ok('by any network card', none, 'ip link | grep -c "^[0-9]"; cat /proc/net/route', /^1\nIface/),
    { layer: none, test: 'reaches no server of this computer, not even on an abstract socket' },
  ],
  'UDP sockets': [
    ok(
      'to the internet',
      none,
      'ping -c 1 -W 1 1.1.1.1 2>&1; echo x | nc -u -w 1 1.1.1.1 53 2>&1; echo',
      /unreachable|not permitted|denied|can't connect/i,
    ),
  ],
  'unix sockets': [ok('the engine’s', own, 'ls -la /var/run/docker.sock /run/docker.sock 2>&1; true', /(No such file[^]*){2}/)],
  DNS: [ok('asked', none, 'nslookup example.com 2>&1; echo', /unreachable|can't|no servers|not permitted|refused/i)],
  'other programs': [
    {
      name: 'that it has written',
      layer: 'noexec on what can be written',
      code: 'cat /bin/busybox > /tmp/echo; chmod +x /tmp/echo; /tmp/echo escaped 2>&1',
      error: /code 126|ermission denied/,
    },
  ],
  'a fork bomb': [
    {
      layer: 'the limit of processes',
      code: 'bomb() { bomb | bomb & }; bomb; sleep 100',
      outcome: /timed-out|function-failed|out-of-memory/,
      error: /did not answer|ended|memory/,
      timeoutMs: 1_500,
    },
    {
      name: 'counted',
      layer: 'the limit of processes',
      code: 'for i in $(seq 300); do sleep 100 & done; echo all',
      error: /can't fork/,
    },
    { layer: 'the limit of processes', test: 'serves others while a fork bomb burns' },
  ],
  'native code (FFI)': shell,
  WebGPU: [ok('a graphics card', 'no devices', 'ls /dev/dri /dev/nvidia0 /dev/kfd 2>&1; true', /(No such file[^]*){3}/)],
  'localStorage and caches': 'What lasts would be a file: the rows of files. A job’s container ends with its call.',
  workers: 'Threads are processes for the kernel: the row of fork bombs.',
  'the inspector': 'A server of its own in a network of its own, which nobody reaches: the row of TCP sockets.',
  'a heap bomb': [
    { layer: 'the limit of memory', code: 'x=aaaaaaaa; while :; do x=$x$x; done', outcome: 'out-of-memory', error: /memory/ },
  ],
  'an ArrayBuffer bomb': [
    {
      name: 'as files in memory',
      layer: 'the limit of memory, the sized tmpfs',
      code: 'mkdir /tmp/d; cat /dev/zero > /tmp/d/a; cat /tmp/d/a /tmp/d/a /tmp/d/a | sort',
      outcome: /function-failed|out-of-memory/,
      error: /memory|code|signal/,
    },
  ],
  'a WASM memory bomb': 'The kernel counts memory, whatever it is for: the two rows above.',
  'an endless loop, synchronous': [{ layer: clock, code: 'while :; do :; done', ...timedOut }],
  'an endless loop, asynchronous': [
    { name: 'a wait', layer: clock, code: 'sleep 1000', ...timedOut },
    { name: 'with its output closed', layer: clock, code: 'exec >&- 2>&-; sleep 1000', ...timedOut },
  ],
  'an endless loop of microtasks': 'For the host it is a loop as above.',
  'an endless regular expression': [
    {
      layer: clock,
      code: 'echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab | grep -E "^(((a+)+)+)+(((a+)+)+)+\\1$"; while :; do :; done',
      ...timedOut,
    },
  ],
  'floods of output': [
    { name: 'words', layer: limit, code: 'yes', ...large },
    { name: 'zeros', layer: limit, code: 'cat /dev/zero', ...large },
    { name: 'standard error', layer: 'the limit of a log', code: 'yes >&2', outcome: 'bad-response', error: /standard error/ },
  ],
  'forged frames on standard output': [
    ok(
      'of the engine’s stream',
      'the engine, which frames what a container prints; the host takes bytes for bytes',
      'echo -e "\\001\\000\\000\\000\\000\\000\\000\\005\\002\\000\\000\\000\\177\\377\\377\\377x"',
      /^[^A-Za-z]{13,}x\n$/,
    ),
  ],
  'giant frames': pipe,
  'malformed frames': pipe,
  'timing out during start-up':
    'A job has no start-up: its time runs from the moment that its process does. Fetching and unfolding the image: the next but one row.',
  'huge output': [
    { name: 'in one piece', layer: limit, code: 'dd if=/dev/zero bs=32M count=1 2>/dev/null', ...large },
    { layer: 'the watch over the disk', test: 'that unfold to more than is left are stopped, and leave nothing' },
  ],
  'hostile output': [
    ok(
      'that speaks to terminals and parsers',
      'the host, which takes bytes for bytes',
      'head -c 200000 /bin/busybox; echo -e "\\033[2J\\0HTTP/1.1 200 OK"',
      /ELF/,
    ),
    {
      name: 'hundreds of lines that speak to terminals as its last words',
      layer: 'the limit of an error’s words',
      code: 'i=0; while [ $i -lt 500 ]; do echo "line $i" >&2; i=$((i+1)); done; exit 3',
      error: /^The container ended with code 3: [^]{0,1000}line 499$/,
    },
  ],
  'zip bombs as request bodies': [
    {
      ...ok(
        'unfolded to a file',
        'the host, which unfolds nothing, and the sized tmpfs',
        '/bin/busybox zcat > /tmp/x 2>/tmp/why; cat /tmp/why; df -m /tmp | tail -n 1',
        /No space left|100%/,
      ),
      bomb: true,
    },
    {
      name: 'unfolded in memory',
      layer: 'the host, which unfolds nothing, and the limit of memory',
      code: 'x=$(/bin/busybox zcat); echo ${#x}',
      outcome: 'out-of-memory',
      error: /memory/,
      timeoutMs: 40_000,
      bomb: true,
    },
  ],
  'work left behind after the answer': [
    ok('a process', tail, 'sleep 1000 & (sleep 1000 &) ; echo left', /^left\n$/),
    ok('a process that holds the output', tail, '(trap "" HUP; sleep 1000) & echo left; exit 0', /^left\n$/),
    { layer: tail, test: 'leaves no container behind, and serves others as before' },
  ],
  'another tenant’s data on a reused instance': [
    ok('what an earlier job left', 'a container for each call', 'ls -A /tmp; echo mine > /tmp/mine; echo nothing', /^nothing\n$/),
  ],
  'a socket or files swapped for symlinks to the host’s': [
    { layer: 'nothing of the host’s in it', test: 'has nothing of the host’s in its file system that it could swap for something else' },
  ],
};
