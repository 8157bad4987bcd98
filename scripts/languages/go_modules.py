"""go_modules.py GOROOT FOLDER: a module proxy in a folder, with the modules that Go's own tree contains.

Tests add a module to a project with it. It needs nothing from elsewhere: a network with a proxy for packages of npm and
PyPI often has none for modules of Go.
"""

import json
import re
import sys
import zipfile
from pathlib import Path

MODULE = "golang.org/x/text"

goroot, folder = map(Path, sys.argv[1:])
vendored = goroot / "src/vendor"
version = re.search(rf"^# {MODULE} (\S+)$", (vendored / "modules.txt").read_text(), re.MULTILINE).group(1)
files = folder / MODULE / "@v"
files.mkdir(parents=True, exist_ok=True)
go_mod = f"module {MODULE}\n\ngo 1.24\n"
(files / "list").write_text(f"{version}\n")
(files / f"{version}.info").write_text(json.dumps({"Version": version}))
(files / f"{version}.mod").write_text(go_mod)
with zipfile.ZipFile(files / f"{version}.zip", "w", zipfile.ZIP_DEFLATED) as module:
    module.writestr(f"{MODULE}@{version}/go.mod", go_mod)
    for file in sorted((vendored / MODULE).rglob("*")):
        if file.is_file():
            module.write(file, f"{MODULE}@{version}/{file.relative_to(vendored / MODULE)}")
