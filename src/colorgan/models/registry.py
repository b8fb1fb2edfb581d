"""The table of named models, and where their files are: in the package, in the cache, or published."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from colorgan.errors import OutputError
from colorgan.files import atomic_write, sha256_of
from colorgan.models.download import RemoteFile
from colorgan.models.info import ModelInfo


@dataclass(frozen=True)
class PublishedModel:
    """A published file, and its metadata, which the file itself lacks."""

    file: RemoteFile
    info: ModelInfo


@dataclass(frozen=True)
class NamedModel:
    """A row of the table of named models.

    Attributes:
        advice: what to do if the file is missing.
        bundled: whether the file is in the package; else it is in the cache.
        published: the file to fetch; None for a model that is not published.
    """

    advice: str
    bundled: bool = False
    published: PublishedModel | None = None


def _by_zhang(name: str, authors: str, file: str, mirrored: str, sha256: str, size: str) -> PublishedModel:
    """Return the entry of a network of R. Zhang et al., with its own address and that of a mirror."""
    address = f"https://colorizers.s3.us-east-2.amazonaws.com/{file}"
    mirror = f"https://github.com/clibdev/colorization/releases/latest/download/{mirrored}"
    advice = (
        f"Offline, copy {address} ({size}) to this machine and give its path instead of the name; "
        "or use compact, which is bundled."
    )
    info = ModelInfo(
        name=name,
        network=name,
        options={},
        stage="published",
        license="BSD-2-Clause",
        made_by=f"{authors}; {address}",
        trained_on="ImageNet",
        figures={},
        render_size=256,
        temperature=1.0,
    )
    return PublishedModel(RemoteFile(f"weights of {name}", (address, mirror), sha256, advice), info)


ECCV16 = _by_zhang(
    "eccv16",
    "R. Zhang, P. Isola and A. A. Efros, 2016",
    "colorization_release_v2-9b330a0b.pth",
    "colorization-eccv-16.pth",
    "9b330a0bae53f4ded77b1e23defbf78beaa09c10ebc4c4999e8e4f4a160b93f9",
    "123 MB",
)

SIGGRAPH17 = _by_zhang(
    "siggraph17",
    "R. Zhang, J.-Y. Zhu, P. Isola, X. Geng, A. S. Lin, T. Yu and A. A. Efros, 2017",
    "siggraph17-df00044c.pth",
    "colorization-siggraph-17.pth",
    "df00044c0a4d7c3edcecf6f75437ce346a66e7a42612d9b968e1a7e17dbc6f66",
    "131 MB",
)

_ASSETS = Path(__file__).parents[1] / "assets"
_OWN = "Finish a training run, which puts it there, or give the path of a .safetensors file instead."
_BUNDLED = "Install colorgan again: it comes with the package."
NAMED_MODELS = {
    "compact": NamedModel(_BUNDLED, bundled=True),
    "compact-gan": NamedModel(_BUNDLED, bundled=True),
    "eccv16": NamedModel(ECCV16.file.without_network, published=ECCV16),
    "siggraph17": NamedModel(SIGGRAPH17.file.without_network, published=SIGGRAPH17),
    "finetuned": NamedModel(_OWN),
    "gan": NamedModel(_OWN),
}

VGG19_INFO = ModelInfo(
    name="vgg19",
    network="vgg19",
    options={},
    stage="published",
    license="BSD-3-Clause",
    made_by="torchvision, VGG19_Weights.IMAGENET1K_V1, up to relu4_3",
    trained_on="ImageNet",
    figures={},
    render_size=224,
    temperature=1.0,
)


def published_vgg19() -> RemoteFile:
    """Return VGG19 as torchvision publishes it; its address has the first 8 digits of its SHA-256."""
    from torchvision.models import VGG19_Weights

    address: str = VGG19_Weights.IMAGENET1K_V1.url
    advice = (
        f"Offline, copy {address} (548 MB) to this machine and give its path as `vgg_weights`; or train "
        "with `lambda_perceptual=0`."
    )
    sha256 = address.rpartition("-")[2].removesuffix(".pth")
    return RemoteFile("weights of VGG19, for the perceptual term", (address,), sha256, advice)


def cache_folder() -> Path:
    """Return the folder of fetched and of own models: COLORGAN_CACHE, or else the platform's cache folder."""
    chosen = os.environ.get("COLORGAN_CACHE")
    try:
        return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("colorgan")
    except RuntimeError:  # the system does not know the user: a path where nothing exists, and nothing can be made
        return Path(os.devnull) / "colorgan"


def model_path(name_or_path: str) -> Path:
    """Return the path of a model's file, which need not exist: by its name, or as given."""
    named = NAMED_MODELS.get(name_or_path)
    if named is None:
        return Path(name_or_path)
    return (_ASSETS if named.bundled else cache_folder()) / f"{name_or_path}.safetensors"


def available_models() -> list[str]:
    """Return the names of the models that load without being fetched or trained first, in the table's order."""
    # os.path, since Path's own method raises for a folder that must not be read.
    return [name for name in NAMED_MODELS if os.path.isfile(model_path(name))]


def model_digest(name_or_path: str) -> str:
    """Return the SHA-256 of a model's file; empty if it is missing or unreadable."""
    path = model_path(name_or_path)
    if not os.path.isfile(path):
        return ""
    try:
        return sha256_of(path)
    except OSError:  # loading it reports what is wrong with it
        return ""


def name_advice(name: str) -> str:
    """Return the advice for an unknown model name."""
    near = difflib.get_close_matches(name, NAMED_MODELS, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return f"{meant}Give {', '.join(NAMED_MODELS)}, or the path of a .safetensors or .pth file."


def install_model(name: str, path: Path) -> None:
    """Copy a run's weights into the cache under a name, finetuned or gan.

    Raises:
        OutputError: the cache cannot be written, or the weights cannot be read.
    """
    with writing(cache_folder()), path.open("rb") as source, atomic_write(model_path(name)) as copy:
        shutil.copyfileobj(source, copy)


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Convert an OSError in the block to an OutputError that names `place`."""
    try:
        yield
    except OSError as error:
        raise OutputError.of(str(place), error, "choose another place") from error
