"""Tables A and B of the attack list: which test holds which row, as `file::test`. Rows that belong
to something Tollway does not have yet stand in `LATER`, with what they wait for.
"""

GATEWAY = "tests/journeys/test_keys.py"
SIGNING_IN = "tests/unit/web/admin/test_signing_in.py"
MONOTONICITY = "tests/isolation/test_monotonicity.py"
OTHERS = "tests/isolation/test_other_tenants.py"
NEWCOMERS = "tests/unit/app/gateway/test_newcomers.py"
HERE = "tests/attacks/test_identity.py"
KEPT = "tests/journeys/test_kept_responses.py"

ROWS: dict[int, tuple[str, ...]] = {
    1: (f"{GATEWAY}::test_keys_that_open_nothing", f"{HERE}::test_no_credential_costs_nothing"),
    2: (f"{GATEWAY}::test_keys_that_open_nothing", f"{HERE}::test_no_credential_costs_nothing"),
    3: (
        f"{NEWCOMERS}::test_unknown_keys_make_few_questions_and_lose_no_turn",
        f"{NEWCOMERS}::test_one_question_serves_all_who_wait_for_it",
    ),
    4: (
        f"{GATEWAY}::test_keys_that_open_nothing",
        f"{GATEWAY}::test_a_head_too_large_for_a_key",
        f"{SIGNING_IN}::test_what_is_no_token_opens_nothing",
    ),
    6: (f"{GATEWAY}::test_narrow_keys", f"{GATEWAY}::test_how_a_key_may_be_sent"),
    7: (
        "tests/journeys/test_revocation_8_workers.py::test_refused_by_every_worker",
        "tests/unit/app/gateway/test_running.py::test_a_stream_ends_with_its_key",
    ),
    8: (
        f"{GATEWAY}::test_the_tenant_is_the_keys",
        "tests/journeys/test_keys_tenants.py::test_nothing_of_the_caller_reaches_a_provider",
    ),
    9: (f"{GATEWAY}::test_a_key_ends_at_its_time", f"{GATEWAY}::test_keys_that_open_nothing"),
    11: ("tests/unit/adapters/identity/test_gateway_tokens.py::test_attacks_on_jwts",),
    12: (f"{SIGNING_IN}::test_the_hash_is_not_the_password",),
    13: (f"{SIGNING_IN}::test_guesses_are_bounded",),
    14: (
        f"{SIGNING_IN}::test_nobody_is_told_who_has_an_account",
        f"{SIGNING_IN}::test_nobody_is_told_by_the_clock",
    ),
    15: (
        f"{SIGNING_IN}::test_a_session_after_signing_out",
        f"{SIGNING_IN}::test_a_change_of_password_ends_the_others",
        f"{SIGNING_IN}::test_a_session_acts_with_the_roles_of_its_account",
    ),
    16: (f"{SIGNING_IN}::test_another_sites_page_changes_nothing",),
    17: (f"{HERE}::test_a_credential_in_the_url_is_refused",),
    18: (
        f"{SIGNING_IN}::test_an_empty_bootstrap_token_is_none",
        "tests/unit/adapters/identity/test_gateway_tokens.py::test_a_wrong_configuration_stays_off",
    ),
    19: (f"{OTHERS}::test_another_tenants_things_are_absent",),
    20: (
        f"{KEPT}::test_another_tenant_can_do_nothing_with_an_id",
        f"{KEPT}::test_an_item_of_another_tenant_is_not_named",
        "tests/unit/app/gateway/test_kept.py::test_anothers_is_absent",
        "tests/unit/dialects/test_responses.py::test_items_and_files_of_a_provider_are_refused",
        "tests/unit/dialects/test_responses.py::test_tools_that_name_objects_are_refused",
        "tests/journeys/test_responses_client.py::test_nothing_that_is_kept_can_be_named",
    ),
    21: (f"{OTHERS}::test_another_tenants_things_are_absent",),
    22: (
        f"{MONOTONICITY}::test_a_key_takes_no_field_that_would_widen_it",
        f"{MONOTONICITY}::test_a_key_is_no_wider_than_its_maker",
    ),
    23: (
        f"{MONOTONICITY}::test_nobody_promotes_themselves",
        f"{MONOTONICITY}::test_nobody_gives_themselves_a_role",
    ),
    24: (
        f"{MONOTONICITY}::test_a_tenants_administrator_has_no_hold_on_a_higher_one",
        f"{SIGNING_IN}::test_a_tenant_administrator_does_not_reach_up",
    ),
    25: ("tests/unit/web/admin/test_routes.py::test_the_policy_is_what_happens",),
    26: (
        "tests/isolation/test_without_gates.py::test_a_stranger_gets_nothing",
        "tests/isolation/test_without_gates.py::test_who_only_reads_changes_nothing",
    ),
    28: (
        f"{HERE}::test_the_host_decides_nothing",
        "tests/http/test_strictness.py::test_attack_row",
    ),
    29: (f"{HERE}::test_a_search_is_plain_text",),
    31: ("tests/unit/app/test_tidy.py::test_a_purged_tenant_leaves_its_id_and_the_audit",),
    32: ("tests/unit/adapters/sql/test_postgres.py::test_without_a_tenant_there_are_no_rows",),
}
LATER: dict[int, str] = {}
