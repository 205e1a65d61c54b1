"""The command `ep lens`: fitting, merging, listing and importing Jacobian lenses."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ep.commands import lens_reading
from ep.commands.options import add_command, output_path, say_doubt
from ep.commands.progress import Printer, duration, on_stderr
from ep.config import Dtype
from ep.errors import ConfigError, EPError
from ep.extras import require
from ep.models.jacobian_fit import PROMPTS, TOKENS, FitSettings

if TYPE_CHECKING:
    from ep.models import LanguageModel
    from ep.models.jacobian import JacobianLens
    from ep.models.jacobian_fit import FitProgress


def add(subparsers: Any) -> None:
    """Add `lens` and the commands below it."""
    commands = lens_parser(subparsers)
    fit_parser = add_command(commands, "fit", "fit the Jacobian lens of a model on a text", fit)
    _fit_options(fit_parser)
    merge_parser = add_command(
        commands, "merge", "make one lens of several that were fitted on other prompts", merge
    )
    merge_parser.add_argument("files", nargs="+", metavar="FILE", help="two lenses or more")
    merge_parser.add_argument("--out", required=True, metavar="FILE", help="file to write")
    list_parser = add_command(commands, "list", "list the lenses in the cache", list_)
    list_parser.add_argument("--json", action="store_true", help="print JSON")
    import_parser = add_command(
        commands, "import", "convert a published lens (.pt) without unpickling code", import_
    )
    import_parser.add_argument("file", metavar="FILE.pt")
    import_parser.add_argument(
        "--model", required=True, help="Hub name, folder or .gguf file of its model"
    )
    import_parser.add_argument("--out", metavar="FILE", help="file to write (default: the cache)")
    for parser in (fit_parser, merge_parser, import_parser):
        parser.add_argument("--replace", action="store_true", help="replace what is in the way")
    lens_reading.add(commands)


def lens_parser(subparsers: Any) -> Any:
    """Add `lens` and return what its commands are added to, as to `subparsers`."""
    about = "fit, merge, list and import Jacobian lenses; add and score read-outs"
    parser = subparsers.add_parser(
        "lens", help=about, description=f"{about[0].upper()}{about[1:]}."
    )
    return parser.add_subparsers(dest="lens_command", required=True, metavar="COMMAND")


def _fit_options(parser: argparse.ArgumentParser) -> None:
    number: dict[str, Any] = {"type": int, "metavar": "N"}
    parser.add_argument("model", help="Hub name, folder or .gguf file")
    parser.add_argument(
        "--text", action="append", required=True, metavar="FILE", help="file or folder; repeatable"
    )
    parser.add_argument("--field", help="column or key with the text (default text, else messages)")
    parser.add_argument(
        "--layer", action="append", default=[], help="layer; repeatable (default all)", **number
    )
    parser.add_argument(
        "--prompts", default=PROMPTS, help=f"number of prompts (default {PROMPTS})", **number
    )
    parser.add_argument(
        "--tokens",
        default=TOKENS,
        help=f"tokens of each prompt, BOS included (default {TOKENS})",
        **number,
    )
    parser.add_argument("--seed", default=0, help="order of the passages (default 0)", **number)
    parser.add_argument(
        "--skip",
        default=0,
        help="prompts to leave out first, such as those of another fit (default 0)",
        **number,
    )
    parser.add_argument("--out", metavar="FILE", help="file to write (default: in the cache)")
    parser.add_argument(
        "--adapter", metavar="DIR", help="folder of a LoRA adapter to merge into the model"
    )
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:N, mps or cpu")
    parser.add_argument("--dtype", default="auto", choices=get_args(Dtype), help="(default auto)")
    parser.add_argument("--resume", action="store_true", help="continue the unfinished fit")


def fit(arguments: argparse.Namespace) -> None:
    """Fit a lens; progress is printed to stderr, the path of the lens to stdout."""
    from ep.corpus import Corpus
    from ep.models import jacobian_store, load
    from ep.storage.hub.texts import opened

    require("torch")
    settings = FitSettings(
        tuple(arguments.layer), arguments.prompts, arguments.tokens, arguments.skip
    )
    corpus = Corpus(opened(arguments.text, arguments.field), arguments.seed, arguments.field)
    if arguments.adapter:
        say_doubt(arguments.adapter, arguments.model)
    if arguments.out:
        _check_place(output_path(arguments.out), arguments)
    with on_stderr() as printer:
        printer.stage(f"loading {arguments.model}")
        model = load(
            arguments.model,
            arguments.device,
            arguments.dtype,
            adapter=arguments.adapter,
            progress=printer,
        )
        out = Path(arguments.out or jacobian_store.place(model.fingerprint))
        _check_place(out, arguments)
        lens = _fitted(model, corpus, settings, out, arguments.resume, printer)
    jacobian_store.save(lens, out)
    _state(out).unlink(missing_ok=True)
    print(out)


def _state(out: Path) -> Path:
    """Return the file that keeps an unfinished fit of a lens."""
    return out.with_name(f"{out.name}.unfinished")


def _check_place(out: Path, arguments: argparse.Namespace) -> None:
    """Raise ConfigError where an unfinished fit would be lost, and the errors of `_check_free`."""
    _check_free(out, arguments.replace)
    if _state(out).exists() and not (arguments.resume or arguments.replace):
        raise ConfigError(
            f"there is an unfinished fit in {_state(out)}: continue it with --resume, or give "
            "--replace to start again"
        )


def _check_free(out: Path, replace: bool) -> None:
    """Raise ConfigError where a lens would be lost, and StorageError where none can be written."""
    from ep.storage.checkpoint import prepare_folder

    if out.exists() and not replace:
        raise ConfigError(f"{out} exists: name another file with --out, or give --replace")
    prepare_folder(out.parent)


def _fitted(
    model: LanguageModel,
    corpus: Any,
    settings: FitSettings,
    out: Path,
    resume: bool,
    printer: Printer,
) -> JacobianLens:
    """Run a fit; print what it will take before it begins, and again once that is measured."""
    from ep.models.jacobian_fit import fitting, seconds_expected

    expected = seconds_expected(model, settings)
    in_all = duration(expected * settings.prompts)
    printer.say(f"by the model's size, at least {duration(expected)} a prompt, {in_all} in all")
    steps = fitting(model, corpus, settings, _state(out), resume)
    printer.stage("reading the text")
    try:
        with closing(steps):  # an interruption saves the prompts that are done
            return _followed(steps, printer)
    except KeyboardInterrupt:
        raise InterruptedFit(_interruption(out)) from None


def _followed(steps: Iterator[FitProgress], printer: Printer) -> JacobianLens:
    """Show the progress of a fit and return its lens; say what a prompt took after the first."""
    is_fitting = is_measured = False
    for progress in steps:
        if progress.lens is not None:
            return progress.lens
        if not is_fitting:
            is_fitting = True
            printer.stage("fitting")
        if progress.seconds is not None and not is_measured:
            is_measured = True
            rest = progress.total - progress.done
            left = duration(rest * progress.seconds)
            printer.say(
                f"{duration(progress.seconds)} a prompt, about {left} for the other {rest:,}"
            )
        printer(f"{progress.done:,} of {progress.total:,} prompts", progress.share)
    raise AssertionError("a fit ends with its lens")


def _interruption(out: Path) -> str:
    if _state(out).exists():
        return f"interrupted: the prompts so far are in {_state(out)}; continue with --resume"
    return "interrupted before the first prompt was done: nothing was written"


class InterruptedFit(EPError):
    """Ctrl-C was pressed during a fit; the prompts that were done are saved."""

    exit_code = 130


def merge(arguments: argparse.Namespace) -> None:
    """Merge lenses and print the path of the result."""
    from ep.models.jacobian import merged
    from ep.models.jacobian_store import load, save

    if len(arguments.files) < 2:
        raise ConfigError("one lens was given: expected two or more to merge")
    out = output_path(arguments.out)
    _check_free(out, arguments.replace)
    print(save(merged([load(file) for file in arguments.files]), out))


def list_(arguments: argparse.Namespace) -> None:
    """Print the lenses in the cache."""
    from ep.models.jacobian_store import folder, listed
    from ep.storage.file import printable

    found = listed()
    if arguments.json:
        rows = [
            {
                "file": str(row.path),
                "bytes": row.size,
                "model": row.model,
                "layers": list(row.layers),
                "prompts": row.n_prompts,
            }
            for row in found
        ]
        print(json.dumps({"folder": str(folder()), "lenses": rows}, indent=1))
        return
    for row in found:
        what = f"{printable(row.model)}, {_layers(row.layers)}, {row.n_prompts:,} prompts"
        what = what if row.layers else "damaged"
        print(f"{row.size / 1e6:>10,.1f} MB  {what}  {row.path.name}")
    print(f"{len(found)} lens{'' if len(found) == 1 else 'es'} in {folder()}")


def _layers(layers: Sequence[int]) -> str:
    """Return layers in words: the first and the last of a range without gaps."""
    if len(layers) > 2 and len(layers) == layers[-1] - layers[0] + 1:
        return f"layers {layers[0]} to {layers[-1]}"
    return f"layer{'' if len(layers) == 1 else 's'} {' '.join(map(str, layers))}"


def import_(arguments: argparse.Namespace) -> None:
    """Convert a published lens and print the path of the result."""
    from ep.models import jacobian_store, load
    from ep.models.jacobian_import import published

    file = Path(arguments.file)
    with on_stderr() as printer:
        printer.stage(f"reading {file.name}")
        lens = published(file)
        printer.stage(f"loading {arguments.model}")
        model = load(arguments.model)
    out = output_path(arguments.out or str(jacobian_store.place(model.fingerprint)))
    _check_free(out, arguments.replace)
    print(jacobian_store.save(lens.of(model), out))
