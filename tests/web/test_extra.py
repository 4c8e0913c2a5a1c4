"""Without the extra `web` everything else works, and `serve` says what is missing."""

import subprocess
import sys

WITHOUT = "import sys; sys.modules.update(dict.fromkeys(('fastapi', 'starlette', 'uvicorn', 'jinja2'))); "


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)


def test_no_other_command_needs_it():
    done = run(WITHOUT + "from ringledger.cli import main; sys.exit(main(['--help']))")
    assert (done.returncode, done.stderr) == (0, "")
    assert "serve" in done.stdout
    done = run(WITHOUT + "import ringledger.service")
    assert (done.returncode, done.stderr) == (0, "")


def test_serve_says_what_to_install():
    done = run(WITHOUT + "from ringledger.cli import main; sys.exit(main(['serve']))")
    assert done.returncode == 64
    assert done.stderr.count("\n") == 1
    assert "pip install 'ringledger[web]'" in done.stderr
