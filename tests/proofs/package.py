"""
Build the Debian package, install it in a fresh root, use it, and remove it.

    ./run python -m tests.proofs.package [--package FILE]           (root, Debian)

CI does this at every change. The root is this machine's system under an overlay: what is
written there is gone afterwards, and everything outside Debian's own folders is hidden, so
that only the package can answer. tests.proofs.server does it in a root of debootstrap, with
services under a real systemd.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import ROOT

# Where a checkout, another Python or another pushctl may lie.
_HIDDEN = ("home", "mnt", "root", "srv", "tmp", "usr/local", ROOT.parts[1])

_ENTER = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs {space}
mkdir {space}/upper {space}/work {space}/system
mount -t overlay overlay \\
    -o lowerdir=/,upperdir={space}/upper,workdir={space}/work {space}/system
for folder in {hidden}; do
    [ ! -d {space}/system/$folder ] || mount -t tmpfs -o mode=1777 tmpfs {space}/system/$folder
done
rm -rf {space}/system/opt  # no mount: a package that goes takes /opt along
mount -t proc proc {space}/system/proc
mount --rbind /dev {space}/system/dev
cp {package} {space}/system/tmp/pushctl.deb
exec chroot {space}/system env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \\
    sh -euc "$STEPS"
"""

# As a new user would; runuser, because root's own rights would hide a file closed to others.
STEPS = r"""
said() { printf '== %s\n' "$1"; }
said install
dpkg -i /tmp/pushctl.deb
! dpkg --audit | grep pushctl
install -d -o nobody /srv/shop
cat >/srv/steps <<'END'
set -eu
cd /srv/shop
pushctl --version
pushctl init . --origin https://shop.example --contact push@shop.example \
    --receiver-url https://push.shop.example --languages en,ar
pushctl check
printf 'endpoint,p256dh,auth\n' >none.csv
pushctl subscribers import none.csv
pushctl send --everyone --template welcome --dry-run
pushctl sweep
pushctl stats
pushctl docs server | head -n 3
[ "$(_PUSHCTL_COMPLETE=bash pushctl 'pushctl cam' cam)" = campaigns ]
END
said use
runuser -u nobody -- sh /srv/steps
said files
bash -c 'source /usr/share/bash-completion/completions/pushctl; complete -p pushctl'
zcat /usr/share/man/man1/pushctl.1.gz | head -n 3
zcat /usr/share/man/man1/pushctl-send.1.gz >/dev/null
# Using it, as root too, changed no file of the package.
pushctl --project /srv/shop check >/dev/null
dpkg --verify pushctl >/tmp/changed
head -n 5 /tmp/changed
[ ! -s /tmp/changed ]
said remove
dpkg --purge pushctl
! ls -d /opt/pushctl /usr/bin/pushctl /usr/share/doc/pushctl 2>/dev/null
[ -e /srv/shop/pushctl.db ]
said done
"""


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--package", type=Path, help="a package that is built already")
    given = options.parse_args()
    if os.getuid() != 0 or not shutil.which("dpkg"):
        print("Left out: it needs root and Debian.", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory(prefix="pushctl-package-") as folder:
        package = given.package or build(Path(folder))
        return install(package.resolve(), Path(folder))


def build(folder: Path) -> Path:
    """Return a package that is built in *folder*."""
    script = str(ROOT / "sample/debian/build.py")
    subprocess.run([sys.executable, script, str(folder)], check=True)
    (package,) = folder.glob("*.deb")
    return package


def install(package: Path, folder: Path) -> int:
    """Carry out the steps; return their exit code, the first that is not 0."""
    space = folder / "space"
    space.mkdir()
    script = _ENTER.format(space=space, package=package, hidden=" ".join(_HIDDEN))
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script],
        env={**os.environ, "STEPS": STEPS},
        stdin=subprocess.DEVNULL,
        timeout=600,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
