"""Check the code's vocabulary: the field's terms, American spelling. `python scripts/check_words.py [FOLDER]`.

Names are checked in the syntax tree of each module, spelling in its text. Keys in files of older versions, and options
that scripts may use, are exempt: such a line has `old spelling` in its comment.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Each with the field's term to use instead.
REPLACED = {
    "Way": "TrainingTask",
    "Start": "StageContext",
    "Watcher": "Callbacks",
    "Silent": "NullCallbacks",
    "progressed": "on_step",
    "judged": "on_validation",
    "Ranks": "ProcessGroup",
    "ALONE": "SINGLE",
    "leader": "is_primary",
    "from_leader": "broadcast",
    "Share": "Shard",
    "Meeting": "RankSummary",
    "leave": "publish",
    "TermMeans": "LossMeter",
    "Learner": "OptimizedNetwork",
    "learn": "step",
    "predicting": "eval_network",
    "_teach_discriminator": "_discriminator_step",
    "_let_learn": "_maybe_update",
    "fool": "generator_loss",
    "boundary": "threshold",
    "lifeless": "is_dead",
    "Standing": "RunStatus",
    "coarse_truth": "downsample_real",
    "GlobalGate": "SqueezeExcite",
    "climb": "upsample",
    "merge": "fuse",
    "carried_ab": "scaled_ab",
    "STEPS": "LINEAR_STEPS",
    "models_at_hand": "available_models",
    "remember": "install_model",
    "file_of": "model_path",
    "Published": "RemoteFile",
    "_bring": "_download",
    "_alone": "_exclusive",
    "_Refused": "PermanentError",
    "_Lost": "TransientError",
    "LeftOut": "Rejected",
    "Figure": "Metric",
    "FIGURES": "METRICS",
    "Figures": "MetricValues",
    "FigureSums": "MetricAccumulator",
    "Measured": "MetricResult",
    "Pictures": "ImageBatch",
    "of_truth": "defined_for_ground_truth",
    "spill": "color_bleeding",
    "Contender": "ComparedModel",
    "Gathering": "Accumulator",
    "Gathered": "RowMetrics",
    "Seen": "PhotoLog",
    "Tried": "UploadedPhoto",
    "Guess": "ModelOutput",
    "trying": "session",
    "Earlier": "PreviousResults",
    "rows_beside": "aligned_rows",
    "told": "significant",
    "untold": "not_significant",
    "leads": "is_best",
    "Painter": "PhotoWorker",
    "Treatment": "ProcessingOptions",
    "Rendering": "ColorizeOptions",
    "InOrder": "OrderedPool",
    "ToDo": "Pending",
    "news": "finished",
    "widen": "resize_width",
    "heighten": "interpolate_rows",
    "Between": "RowInterpolator",
    "ab_along": "apply_linear_model",
    "spelling": "collision_key",
    "path_number": "stable_hash",
    "endings": "sidecar_suffixes",
    "beside": "result_names",
    "describing": "metadata_encode",
    "oddities": "warnings",
    "make_true": "normalize",
    "shown": "printable",
    "leaving": "interrupts",
    "painting": "worker",
}
_BRITISH = re.compile(
    r"(colour|grey|licence|behaviour|neighbour|favour|honour|centre|metre\b|artefact|analys(e|ing)|catalogue"
    r"|(normal|initial|optim|serial|general|quant|organ|recogn|minim|maxim|synchron|summar|real|visual|color|util)is(e|ed|er|ing|ation))",
    re.IGNORECASE,
)


def defined(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the classes, functions, parameters, attributes, and names in modules and classes, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        if isinstance(node, ast.Module | ast.ClassDef):
            for statement in node.body:
                targets = getattr(statement, "targets", [getattr(statement, "target", None)])
                yield from ((target.lineno, target.id) for target in targets if isinstance(target, ast.Name))


def faults(path: Path) -> Iterator[str]:
    """Yield a message for each wrong name and spelling in a module."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for line, name in sorted(set(defined(ast.parse(text)))):
        if "old spelling" in lines[line - 1]:
            continue
        if name in REPLACED:
            yield f"{path}:{line}: {name}: the field says {REPLACED[name]}"
        elif _BRITISH.search(name):
            yield f"{path}:{line}: {name}: British spelling"
    for number, line in enumerate(lines, start=1):
        if (word := _BRITISH.search(line)) and "old spelling" not in line:
            yield f"{path}:{number}: {word[0]}: British spelling"


def main() -> None:
    """Print all faults, and exit with 1 if there are any."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "src")
    found = [fault for path in sorted(folder.rglob("*.py")) for fault in faults(path)]
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
