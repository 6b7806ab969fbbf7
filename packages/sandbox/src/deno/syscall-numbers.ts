/** Architectures that the filter is made for. */
export type SeccompArchitecture = 'x64' | 'arm64';

/** Calls that are refused whatever their arguments. */
export const forbiddenCalls = [
  // Network
  'socket', 'connect', 'bind', 'listen', 'accept', 'accept4',
  // Other processes, and new ones
  'fork', 'vfork', 'execveat', 'ptrace', 'process_vm_readv', 'process_vm_writev', 'process_madvise', 'process_mrelease',
  'pidfd_open', 'pidfd_getfd', 'pidfd_send_signal', 'kcmp', 'setrlimit',
  // Kernel surface with a history
  'bpf', 'perf_event_open', 'userfaultfd', 'io_uring_setup', 'io_uring_enter', 'io_uring_register', 'io_setup', 'io_submit',
  'keyctl', 'add_key', 'request_key', 'memfd_create', 'memfd_secret', 'fanotify_init', 'personality', 'modify_ldt', 'vmsplice',
  'syslog', 'quotactl', 'lookup_dcookie', 'uselib', 'ustat', 'sysfs', 'mq_open', 'msgget', 'semget', 'shmget', 'shmat',
  'landlock_create_ruleset', 'seccomp',
  // Mounts and namespaces
  'mount', 'umount2', 'pivot_root', 'chroot', 'unshare', 'setns', 'open_tree', 'move_mount', 'fsopen', 'fsconfig', 'fsmount', 'fspick',
  'mount_setattr', 'name_to_handle_at', 'open_by_handle_at',
  // Privilege
  'setuid', 'setgid', 'setreuid', 'setregid', 'setresuid', 'setresgid', 'setgroups', 'setfsuid', 'setfsgid', 'capset',
  // The machine
  'kexec_load', 'kexec_file_load', 'init_module', 'finit_module', 'delete_module', 'reboot', 'swapon', 'swapoff', 'acct',
  'settimeofday', 'clock_settime', 'clock_adjtime', 'adjtimex', 'sethostname', 'setdomainname', 'iopl', 'ioperm', 'vhangup', 'nfsservctl',
] as const;

type CallTable = Readonly<Record<'clone' | 'clone3' | 'socketpair' | 'prlimit64' | 'ioctl', number>> & Readonly<Partial<Record<(typeof forbiddenCalls)[number], number>>>;

/** AUDIT_ARCH_* of linux/audit.h, and call numbers of asm/unistd_64.h (x64) and asm-generic/unistd.h (arm64). */
export const numbers: Readonly<Record<SeccompArchitecture, { readonly audit: number; readonly calls: CallTable }>> = {
  x64: {
    audit: 0xc000003e,
    calls: {
      clone: 56, clone3: 435, socketpair: 53, prlimit64: 302, ioctl: 16,
      socket: 41, connect: 42, bind: 49, listen: 50, accept: 43, accept4: 288,
      fork: 57, vfork: 58, execveat: 322, ptrace: 101, process_vm_readv: 310, process_vm_writev: 311, process_madvise: 440, process_mrelease: 448,
      pidfd_open: 434, pidfd_getfd: 438, pidfd_send_signal: 424, kcmp: 312, setrlimit: 160,
      bpf: 321, perf_event_open: 298, userfaultfd: 323, io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427, io_setup: 206, io_submit: 209,
      keyctl: 250, add_key: 248, request_key: 249, memfd_create: 319, memfd_secret: 447, fanotify_init: 300, personality: 135, modify_ldt: 154, vmsplice: 278,
      syslog: 103, quotactl: 179, lookup_dcookie: 212, uselib: 134, ustat: 136, sysfs: 139, mq_open: 240, msgget: 68, semget: 64, shmget: 29, shmat: 30,
      landlock_create_ruleset: 444, seccomp: 317,
      mount: 165, umount2: 166, pivot_root: 155, chroot: 161, unshare: 272, setns: 308, open_tree: 428, move_mount: 429, fsopen: 430, fsconfig: 431,
      fsmount: 432, fspick: 433, mount_setattr: 442, name_to_handle_at: 303, open_by_handle_at: 304,
      setuid: 105, setgid: 106, setreuid: 113, setregid: 114, setresuid: 117, setresgid: 119, setgroups: 116, setfsuid: 122, setfsgid: 123, capset: 126,
      kexec_load: 246, kexec_file_load: 320, init_module: 175, finit_module: 313, delete_module: 176, reboot: 169, swapon: 167, swapoff: 168, acct: 163,
      settimeofday: 164, clock_settime: 227, clock_adjtime: 305, adjtimex: 159, sethostname: 170, setdomainname: 171, iopl: 172, ioperm: 173, vhangup: 153, nfsservctl: 180,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    calls: {
      clone: 220, clone3: 435, socketpair: 199, prlimit64: 261, ioctl: 29,
      socket: 198, connect: 203, bind: 200, listen: 201, accept: 202, accept4: 242,
      execveat: 281, ptrace: 117, process_vm_readv: 270, process_vm_writev: 271, process_madvise: 440, process_mrelease: 448,
      pidfd_open: 434, pidfd_getfd: 438, pidfd_send_signal: 424, kcmp: 272, setrlimit: 164,
      bpf: 280, perf_event_open: 241, userfaultfd: 282, io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427, io_setup: 0, io_submit: 2,
      keyctl: 219, add_key: 217, request_key: 218, memfd_create: 279, memfd_secret: 447, fanotify_init: 262, personality: 92, vmsplice: 75,
      syslog: 116, quotactl: 60, lookup_dcookie: 18, mq_open: 180, msgget: 186, semget: 190, shmget: 194, shmat: 196,
      landlock_create_ruleset: 444, seccomp: 277,
      mount: 40, umount2: 39, pivot_root: 41, chroot: 51, unshare: 97, setns: 268, open_tree: 428, move_mount: 429, fsopen: 430, fsconfig: 431,
      fsmount: 432, fspick: 433, mount_setattr: 442, name_to_handle_at: 264, open_by_handle_at: 265,
      setuid: 146, setgid: 144, setreuid: 145, setregid: 143, setresuid: 147, setresgid: 149, setgroups: 159, setfsuid: 151, setfsgid: 152, capset: 91,
      kexec_load: 104, kexec_file_load: 294, init_module: 105, finit_module: 273, delete_module: 106, reboot: 142, swapon: 224, swapoff: 225, acct: 89,
      settimeofday: 170, clock_settime: 112, clock_adjtime: 266, adjtimex: 171, sethostname: 161, setdomainname: 162, vhangup: 58, nfsservctl: 42,
    },
  },
};
