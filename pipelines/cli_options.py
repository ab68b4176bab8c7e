"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

EngineOption = Annotated[Literal["ray", "inline"], typer.Option(help="ray: Ray Data, local or a cluster. inline: threads in this process.")]
AddressOption = Annotated[str | None, typer.Option(help="Address of a running Ray cluster, for example ray://head:10001 or auto.")]
LakeArgument = Annotated[str, typer.Argument(help="The lake's folder.")]
RecipeArgument = Annotated[Path, typer.Argument(help="The recipe, a YAML file.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Override a rule or setting: gold.pretty='aesthetic >= 5.5'.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RateOption = Annotated[float, typer.Option(help="End with exit code 1 when a larger share of the samples failed.", min=0, max=1)]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
