"""Table E of the attack list: which test holds which row, as `file::test`. Rows that belong to
something Tollway does not have yet stand in `LATER`, with what they wait for.
"""

HERE = "tests/attacks/test_accounts.py"
MEMORY = "tests/journeys/test_quotas.py"
PIPELINE = "tests/unit/app/gateway/test_quotas.py"
SHARED = "tests/journeys/test_shared_quotas.py"
REDIS = "tests/conformance/test_redis_quotas.py"
SNAPSHOTS = "tests/unit/adapters/control/test_snapshot_file.py"
LEDGER = "tests/conformance/test_ledger_store.py"
SCENARIOS = "tests/unit/app/gateway/test_known_scenarios.py"

ROWS: dict[int, tuple[str, ...]] = {
    65: (
        f"{MEMORY}::test_exactly_a_hundred_of_two_thousand",
        f"{SHARED}::test_exactly_a_hundred_of_two_thousand_over_four_workers",
    ),
    67: (
        f"{HERE}::test_a_thousand_clients_leave_before_the_first_chunk",
        "tests/journeys/test_kill_clients.py::test_what_a_leaving_client_received_is_billed",
    ),
    68: (f"{HERE}::test_one_user_pins_what_is_theirs_and_nobody_elses",),
    69: (
        "tests/unit/app/gateway/test_claim.py::test_a_storm_of_retries_makes_one_request",
        "tests/unit/app/gateway/test_claim.py::test_another_body_under_the_same_key_is_refused",
        f"{MEMORY}::test_a_request_sent_again_is_billed_once",
    ),
    70: (
        f"{HERE}::test_a_burst_across_the_minute_is_one_limit",
        "tests/unit/adapters/memory/test_quota.py::test_never_more_than_the_limit_in_any_sixty_seconds",
        "tests/conformance/test_quota_stores.py::test_never_more_than_the_limit_in_any_minute",
    ),
    72: (
        f"{PIPELINE}::test_a_limit_changes_while_it_counts",
        f"{HERE}::test_a_limit_changes_under_running_streams",
    ),
    73: (
        f"{SCENARIOS}::test_row_16_every_endpoint_is_limited",
        f"{PIPELINE}::test_embeddings_hold_money_too",
    ),
    75: (
        f"{HERE}::test_a_price_changes_under_a_stream",
        "tests/unit/app/test_pricing_of_rows.py::test_the_price_at_admission_decides",
    ),
    78: (
        f"{REDIS}::test_everything_flushed_under_load_lets_in_no_more",
        f"{REDIS}::test_lost_data_is_seeded_once_and_nobody_gets_in_twice",
        f"{REDIS}::test_a_server_that_may_evict_is_refused",
        f"{SHARED}::test_a_server_that_loses_everything",
    ),
    79: (f"{REDIS}::test_a_frozen_server_holds_up_nobody",),
    80: (
        f"{HERE}::test_two_gateways_serve_the_newest_limit",
        f"{SNAPSHOTS}::test_an_older_snapshot_never_replaces_a_newer_one",
    ),
    81: (
        f"{REDIS}::test_a_damaged_counter_admits_nobody_and_begins_again",
        "tests/unit/adapters/memory/test_quota.py::test_a_counter_that_is_no_number_refuses",
    ),
    82: (
        f"{LEDGER}::test_unstorable_text_is_cleaned",
        f"{LEDGER}::test_nonsense_is_set_aside_and_holds_up_nothing",
        "tests/unit/adapters/sql/test_ledger.py::test_what_only_the_database_refuses_is_set_aside",
    ),
}

LATER: dict[int, str] = {77: "the response cache: hits will reserve requests and concurrency"}
