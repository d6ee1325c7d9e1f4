"""Choosing the GPU that training uses, and saying so."""

from thinc.api import require_gpu

from spacy_domain_ner.errors import UserError, reason

AUTO = "auto"


def choose_gpu(wanted: str, *, transformer: bool) -> tuple[int, str]:
    """Choose the GPU or the CPU.

    Args:
        wanted: `auto`, or a GPU's number; -1 for the CPU. `auto` takes the first GPU for a transformer, if there is one
            that can be used. A small network gains nothing from it.
        transformer: Whether a transformer is trained.

    Returns:
        The GPU's number, -1 for the CPU, and a line that says so.

    Raises:
        UserError: If the GPU that was asked for can't be used.
    """
    if wanted != AUTO:
        try:
            gpu = int(wanted)
        except ValueError:
            raise UserError(f"`gpu_id` is {wanted!r}", "Give auto, -1 for the CPU, or a GPU's number from 0.") from None
        if gpu < 0:
            return -1, "Training on the CPU"
        _require(gpu)
        return gpu, f"Training on GPU {gpu}: {gpu_name(gpu)}"
    if not transformer:
        return -1, "Training on the CPU"
    name = gpu_name(0)
    if name is None:
        return -1, "Training on the CPU: no GPU was found"
    try:
        _require(0)
    except UserError as error:
        return -1, f"Training on the CPU. There is a GPU ({name}). {error.what}. {error.hint}"
    return 0, f"Training on GPU 0: {name}"


def gpu_name(gpu: int) -> str | None:
    """What PyTorch calls a GPU; None if it sees none, or is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch.cuda.get_device_name(gpu) if torch.cuda.is_available() and gpu < torch.cuda.device_count() else None


def _require(gpu: int) -> None:
    try:
        require_gpu(gpu)
    except Exception as error:  # CuPy has errors of its own
        raise UserError(
            f"The GPU {gpu} can't be used: {reason(error)}",
            "Train on the CPU with `gpu_id=-1`, or install CuPy: pip install 'spacy[cuda12x]'",
        ) from error
