"""Counting the votes of a blind comparison."""

from typing import Any


def count_votes(key: dict[str, Any], votes: Any) -> list[tuple[str, int, int, float]]:
    """How often each method was preferred.

    Args:
        key: as from ``judging_page.make_page``.
        votes: contents of votes.json: "token" and "votes", an index or None for each of the first rounds.

    Returns:
        list of (method, votes for it, votes cast, p): p of a two-sided binomial test against a random choice. Votes of
        no difference are left out.

    Raises:
        ValueError: votes of another page, or that do not fit it.
        ImportError: SciPy is not installed.
    """
    from scipy import stats

    if not isinstance(votes, dict) or votes.get("token") != key["token"]:
        raise ValueError("these votes are of another page")
    cast = votes.get("votes")
    count = len(key["rounds"][0]["methods"])
    if not isinstance(cast, list) or len(cast) > len(key["rounds"]) or not all(
        vote is None or (isinstance(vote, int) and 0 <= vote < count) for vote in cast
    ):  # fmt: skip
        raise ValueError("the votes do not fit the page: they must be numbers of its pictures")
    chosen = [
        one["methods"][vote] for one, vote in zip(key["rounds"], cast, strict=False) if vote is not None
    ]  # fmt: skip
    found = []
    for method in sorted(key["rounds"][0]["methods"], key=lambda name: (-chosen.count(name), name)):
        votes_for = chosen.count(method)
        p = stats.binomtest(votes_for, len(chosen), 1 / count).pvalue if chosen else float("nan")
        found.append((method, votes_for, len(chosen), float(p)))
    return found
