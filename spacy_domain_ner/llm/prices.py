"""What tokens cost: as the settings say, or as a dated table does that needs no network."""

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.llm.settings import LLMSettings, Price

_MILLION = 1_000_000


def find_price(settings: LLMSettings) -> Price | None:
    """Find what a model's tokens cost.

    Args:
        settings: The settings; a price that they have counts.

    Returns:
        The price: that of the settings; else nothing for a server on this machine; else that of the table in the
        package genai-prices for this server's address and this model. None where nobody knows.

    Raises:
        UserError: There is a budget, and nobody knows the price: the budget could not be kept.
    """
    price = settings.price or (Price(input=0, output=0) if settings.is_local else _listed(settings))
    if price is None and settings.budget is not None:
        raise UserError(
            f"The price of {settings.model} at {settings.host} is not known, so a budget can't be kept",
            "Add the price of a million tokens to the settings: price: {input: ..., output: ...}; or leave out budget.",
        )
    return price


def _listed(settings: LLMSettings) -> Price | None:
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    # The table may have dearer prices for longer prompts: these are the prices of a usual prompt's tokens.
    thousand = Usage(input_tokens=1000, output_tokens=1000)
    cached = Usage(input_tokens=1000, cache_read_tokens=1000)
    try:
        plain = calc_price(thousand, settings.model, provider_api_url=settings.base_url)
        from_cache = calc_price(cached, settings.model, provider_api_url=settings.base_url)
    except LookupError:
        return None
    return Price(
        input=float(plain.input_price) * _MILLION / 1000,
        output=float(plain.output_price) * _MILLION / 1000,
        cached_input=float(from_cache.input_price) * _MILLION / 1000,
    )
