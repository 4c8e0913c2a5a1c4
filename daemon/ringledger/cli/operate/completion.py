"""`completion`: the script that makes a shell complete commands and options."""

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

from ringledger.cli.terminal import say_lines


class Shell(StrEnum):
    """What `completion` takes."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="Whose script: bash, zsh or fish.")],
) -> None:
    """The script that lets a shell complete commands and options.

    bash and zsh: `source <(ringledger completion bash)` (or zsh), behind `compinit` in .zshrc; fish:
    `ringledger completion fish | source`.
    """
    say_lines(get_completion_script(prog_name="ringledger", complete_var="_RINGLEDGER_COMPLETE", shell=shell.value))
