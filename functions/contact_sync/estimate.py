"""A run's time under the quotas, and the time left by its progress."""

# Fewer accounts say too little about the others.
LEAST_SHARE_DONE = 0.1


def duration(seconds: int) -> str:
    """Return for example `1 h 5 min`: the two largest units."""
    minutes, hours = seconds // 60, seconds // 3600
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def expected(least: int, most: int) -> str:
    """Return the time, or its range: `least` if nothing differs, `most` if everything does."""
    return duration(least) if least >= most else f"{duration(least)} to {duration(most)}"


def seconds_left(total: int, done: int, elapsed: float, least: float) -> int | None:
    """Return the seconds left if the other accounts are like those done; the manifest is shuffled.

    The burst of the quotas makes the first accounts seem faster than the `least` seconds that an
    account takes. None until a tenth of the accounts is done.
    """
    if done < total * LEAST_SHARE_DONE or not done:
        return None
    return round((total - done) * max(elapsed / done, least))
