"""Names that users see."""

from tollway.domain import brand
from tollway.domain.key import KEY_PATTERN, make_key


def test_the_prefix_of_keys_is_the_brands():
    """One constant decides it."""
    assert make_key("test", bytes(41))[1].startswith(f"{brand.KEY_PREFIX}_test_")
    assert KEY_PATTERN.startswith(brand.KEY_PREFIX)


def test_names_are_usable_where_they_stand():
    """Headers are lower case, environment variables upper case, folders have no spaces."""
    assert brand.HEADER_PREFIX.lower() == brand.HEADER_PREFIX
    assert brand.HEADER_PREFIX.endswith("-")
    assert brand.ENV_PREFIX.upper() == brand.ENV_PREFIX
    assert brand.ENV_PREFIX.endswith("_")
    for name in (brand.COMMAND, brand.DATA_DIR, brand.DEMO_DIR, brand.CONFIG_FILE):
        assert name == name.strip().lower()
        assert " " not in name
