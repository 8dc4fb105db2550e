/** What statfs calls the file systems that cannot keep the promises: linux/magic.h and the systems' own headers. */
const unsafe: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS, a network file system'],
  [0x517b, 'SMB, a network file system'],
  [0xff534d42, 'CIFS, a network file system'],
  [0xfe534d42, 'SMB2, a network file system'],
  [0x01021997, '9p, a network file system'],
  [0x5346414f, 'AFS, a network file system'],
  [0x00c36400, 'Ceph, a network file system'],
  [0x0bd00bd0, 'Lustre, a network file system'],
  [0x73757245, 'Coda, a network file system'],
  [0x65735546, 'FUSE, a file system in a process of its own'],
  [0x786f4256, 'a shared folder of VirtualBox'],
  [0xbacbacbc, 'a shared folder of VMware'],
  [0x01021994, 'tmpfs, which is memory'],
  [0x858458f6, 'ramfs, which is memory'],
]);

/**
 * What is wrong with a file system of this type for live state, or null where nothing is known against it. Network file systems
 * lock and flush by rules of their own, and memory does not survive. The types are Linux's; elsewhere nothing is recognized.
 */
export function whyUnsafeFileSystem(type: number): string | null {
  return unsafe.get(type) ?? null;
}
