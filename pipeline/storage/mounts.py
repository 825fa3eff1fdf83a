"""Which file systems lie on a network, where the locks that SQLite and journal files lean on may not hold."""

from __future__ import annotations

from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
NETWORK = ("nfs", "nfs4", "lustre", "gpfs", "cifs", "smb3", "smbfs", "beegfs", "ceph", "glusterfs", "afs", "fuse.sshfs")


def network_file_system(path: Path) -> str:
    """The kind of network file system that a path is on; empty for a disk of this machine, or where it cannot be told."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    mounts = [(Path(where.replace("\\040", " ")), kind) for _, where, kind, *_ in map(str.split, lines)]
    around = [(len(where.parts), kind) for where, kind in mounts if path.absolute().is_relative_to(where)]
    kind = max(around, default=(0, ""))[1]
    return kind if kind in NETWORK else ""
