"""Every figure, once: per photo, batched, on the device that the photos are on.

`fidelity` compares pixels, `color` says how much color there is and where none should be, `auc` is Zhang et al.'s
pair, `spill` is about edges. `figures` joins them into one table and one measurement. Definitions: docs/evaluation.md.
"""

from colorgan.metrics.registry import (
    FIGURES,
    FIGURES_VERSION,
    Figure,
    Figures,
    FigureSums,
    Measured,
    Pictures,
    measure,
)

__all__ = ["FIGURES", "FIGURES_VERSION", "Figure", "FigureSums", "Figures", "Measured", "Pictures", "measure"]
