"""The command ``goldsieve``. Every command is a thin skin over one function; heavy packages load when a command needs them."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from manifests.errors import GoldsieveError, Interrupted
from pipelines import cli_captions, cli_compare, cli_decide, cli_inspect, cli_lake, cli_look, cli_models, cli_sources, cli_steps
from pipelines.cli_options import EngineOption
from pipelines.cli_output import debugging, out


class Commands(TyperGroup):
    """Ends with a sentence when the user presses Ctrl-C; Typer would say nothing."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "Query interrupted" not in str(error):  # DuckDB's way to say the same
                raise
            raise Interrupted("stopped. Finished work is stored; run the same command again to continue.") from None


app = typer.Typer(
    name="goldsieve",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=(
        "Curate multimodal training data: measure every sample once, sort it into bronze, silver and gold by SQL rules, "
        "export WebDataset shards.\n\n"
        "Examples:\n\n"
        "  goldsieve demo demo                  the whole job, on pictures that installed packages carry\n\n"
        "  goldsieve run recipe.yaml            ingest, measure, tier, export; run it again to continue\n\n"
        "  goldsieve status ./lake              how far it got\n\n"
        "  goldsieve why ./lake KEY             why a sample is in its tier\n\n"
        "Exit codes: 0 done; 1 done, but too many samples failed; 2 wrong use or invalid recipe; 3 stopped by an error, safe to rerun; "
        "130 stopped with Ctrl-C, safe to rerun."
    ),
)


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    if debug:
        os.environ["GOLDSIEVE_DEBUG"] = "1"


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Where the demo's data, lake, shards and report go.")] = Path("goldsieve-demo"),
    engine: EngineOption = "inline",
    video: Annotated[bool, typer.Option("--video", help="Use films instead of pictures: shots, camera moves, clips.")] = False,
) -> None:
    """Run the whole job on a small labelled data set, offline, and print what was caught and missed.

    Examples: goldsieve demo demo, goldsieve demo demo-video --video
    """
    if video:
        from pipelines.demo_video import describe_video, run_video_demo

        out().print(describe_video(run_video_demo(directory, engine=engine)), markup=False)
        return
    from pipelines.demo import describe, run_demo

    out().print(describe(run_demo(directory, engine=engine)), markup=False)


cli_sources.register(app)
cli_steps.register(app)
cli_inspect.register(app)
cli_decide.register(app)
cli_captions.register(app)
cli_look.register(app)
cli_compare.register(app)
cli_lake.register(app)
cli_models.register(app)


def main() -> None:
    """Entry point of the console script."""
    try:
        app(standalone_mode=True)
    except GoldsieveError as error:
        if debugging():
            raise
        _end(*(_broken_file(error) or (str(error), error.exit_code)))
    except BrokenPipeError:
        os._exit(0)  # the reader of our output is gone, as with `| head`
    except MemoryError:
        _end("out of memory. Finished work is stored; run the same command again to continue.", 3)
    except OSError as error:
        if debugging():
            raise
        _end(f"{error.strerror or error} ({error.filename or 'no file named'}). Finished work is stored; fix that and run again.", 3)
    except Exception as error:
        if debugging():
            raise
        if type(error).__name__ == "OutOfMemoryException":  # DuckDB's, which few commands load
            _end("the query needs more than the half of this machine's memory that DuckDB may use. Ask on a machine with more.", 3)
        unexpected = f"unexpected {type(error).__name__}: {error}. Finished work is stored. --debug shows where it happened."
        _end(*(_broken_file(error) or (unexpected, 3)))


def _broken_file(error: Exception) -> tuple[str, int] | None:
    """What to say, and the exit code, where DuckDB could not read a file of a lake."""
    match = re.search(r"""[^\s'"]+/(?:ducklake|part)-[0-9a-f-]{36}\.parquet""", str(error))
    if match is None:
        return None
    return f"{match[0]} is gone or broken. goldsieve doctor LAKE tells what else is; with --repair it mends what can be mended.", 3


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"goldsieve: {message}\n")
    sys.exit(code)
