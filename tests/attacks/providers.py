"""Table F of the attack list, and G-60 of the reliability goals: which test holds which row, as
`file::test`. What is not as the list has it stands in `PARTLY`, with what is missing.
"""

SOCKETS = "tests/journeys/test_attacks_providers.py"
DIALECTS = "tests/journeys/test_attacks_dialects.py"
FAULTS = "tests/journeys/test_upstream_faults.py"
FAILOVER = "tests/journeys/test_upstream_faults_failover.py"
ANSWERS = "tests/attacks/test_providers_answers.py"
FLOODS = "tests/attacks/test_providers_floods.py"
BEDROCK = "tests/attacks/test_providers_bedrock.py"
PHASES = "tests/attacks/test_providers_phases.py"
MEDIA = "tests/attacks/test_providers_media.py"
DIALING = "tests/unit/adapters/http/test_dialing.py"
CONNECTION = "tests/unit/adapters/http/test_connection.py"
NAMES = "tests/unit/adapters/notices/test_dialing.py"
WEBHOOK = "tests/unit/adapters/notices/test_webhook.py"

ROWS: dict[int, tuple[str, ...]] = {
    83: (
        f"{SOCKETS}::test_redirects_are_not_followed",
        f"{DIALECTS}::test_an_answer_that_is_none",
    ),
    84: (
        f"{DIALING}::test_rebinding_changes_nothing",
        f"{SOCKETS}::test_a_tenants_provider_inside_our_network",
    ),
    85: (
        f"{SOCKETS}::test_a_tenants_base_url_inside_our_network",
        f"{SOCKETS}::test_a_tenants_provider_inside_our_network",
        f"{DIALING}::test_a_tenants_name_must_not_lead_inside",
        f"{DIALING}::test_our_own_machine_under_another_address",
    ),
    86: (
        "tests/unit/app/admin/test_providers.py::test_a_secret_never_follows_to_another_origin",
        "tests/unit/web/admin/test_providers.py::test_moving_a_provider_demands_its_secret",
    ),
    87: (
        f"{SOCKETS}::test_floods",
        f"{SOCKETS}::test_endless_events_that_are_good",
        f"{SOCKETS}::test_a_drip_that_never_gets_done",
        f"{DIALECTS}::test_floods",
        f"{DIALECTS}::test_events_without_content",
        f"{BEDROCK}::test_floods",
        f"{FLOODS}::test_thousands_of_calls",
        f"{FLOODS}::test_thousands_of_calls_at_once",
        f"{FLOODS}::test_a_long_answer_costs_no_more_than_its_bytes",
        f"{FLOODS}::test_an_endless_answer",
        f"{FLOODS}::test_endless_beginnings",
        f"{FLOODS}::test_endless_choices",
        f"{FLOODS}::test_an_event_of_a_million_lines",
        f"{FLOODS}::test_json_of_a_million_values",
        f"{FLOODS}::test_usage_of_a_million_values",
        f"{FLOODS}::test_an_event_of_a_million_values",
        f"{FLOODS}::test_an_answer_of_a_million_values",
        f"{MEDIA}::test_an_endless_event",
        f"{MEDIA}::test_an_event_of_a_million_lines",
        f"{MEDIA}::test_an_event_of_a_million_values",
    ),
    88: (f"{SOCKETS}::test_floods", f"{DIALECTS}::test_an_answer_that_is_none"),
    90: (
        f"{SOCKETS}::test_usage_that_cannot_be_true",
        f"{FAULTS}::test_usage_that_is_absent_or_strange",
        f"{ANSWERS}::test_usage_that_is_claimed",
        f"{ANSWERS}::test_usage_far_below_what_was_sent",
        f"{ANSWERS}::test_what_no_model_wrote_is_not_seen",
        f"{ANSWERS}::test_all_that_a_model_wrote_is_seen",
        f"{ANSWERS}::test_a_prompt_that_is_told_again_is_not_seen",
        f"{MEDIA}::test_usage_that_is_claimed",
        f"{MEDIA}::test_a_transcript_longer_than_its_tokens",
        f"{ANSWERS}::test_numbers_that_no_json_has",
        f"{ANSWERS}::test_keys_that_come_twice",
        f"{ANSWERS}::test_usage_that_is_told_again",
    ),
    91: (
        f"{SOCKETS}::test_an_answer_that_is_none",
        f"{SOCKETS}::test_headers_that_are_not_for_clients",
        f"{DIALECTS}::test_an_answer_that_is_none",
        f"{ANSWERS}::test_headers_that_are_not_for_clients",
        f"{ANSWERS}::test_a_header_for_clients_that_is_none",
        f"{ANSWERS}::test_a_name_that_writes_headers",
        f"{ANSWERS}::test_names_that_fill_a_head",
    ),
    92: (
        f"{SOCKETS}::test_lines_that_steer_a_client",
        f"{ANSWERS}::test_lines_that_steer_a_client",
        f"{MEDIA}::test_lines_that_steer_a_client",
        f"{ANSWERS}::test_arguments_that_are_not_json",
        f"{ANSWERS}::test_calls_at_odd_places",
        f"{ANSWERS}::test_names_and_roles_of_its_own",
        f"{PHASES}::test_an_error_inside_a_200",
    ),
    93: (
        f"{SOCKETS}::test_an_answer_that_is_none",
        f"{DIALECTS}::test_an_answer_that_is_none",
        f"{ANSWERS}::test_an_answer_that_is_none",
        f"{MEDIA}::test_an_answer_that_is_none",
        f"{ANSWERS}::test_a_spoiled_answer",
        f"{FLOODS}::test_arguments_of_any_depth",
        f"{PHASES}::test_an_error_inside_a_200",
    ),
    95: (
        f"{ANSWERS}::test_one_malformed_event_among_60",
        f"{MEDIA}::test_one_malformed_event_among_60",
        f"{FAULTS}::test_what_does_not_spoil_a_stream",
    ),
    96: (
        f"{DIALECTS}::test_stalls",
        f"{SOCKETS}::test_a_drip_that_never_gets_done",
        f"{DIALECTS}::test_events_without_content",
        f"{FAULTS}::test_before_the_first_byte",
        f"{FAULTS}::test_in_the_middle_of_a_stream",
        f"{FAULTS}::test_before_the_done",
        f"{PHASES}::test_after_the_first_byte",
    ),
    97: (
        f"{DIALECTS}::test_after_the_end",
        f"{BEDROCK}::test_who_does_not_close_or_answers_twice",
        f"{PHASES}::test_what_follows_the_end",
        f"{MEDIA}::test_what_follows_the_end",
    ),
    98: (
        f"{SOCKETS}::test_an_answer_nobody_asked_for",
        f"{DIALECTS}::test_after_the_end",
        f"{CONNECTION}::test_what_follows_an_answer_ends_the_connection",
    ),
    100: (
        f"{DIALING}::test_tls_that_does_not_verify",
        f"{WEBHOOK}::test_a_wrong_certificate_gets_nothing",
        f"{WEBHOOK}::test_old_tls_gets_nothing",
    ),
    101: (
        f"{DIALING}::test_slow_dns_of_one_host_delays_no_other",
        f"{NAMES}::test_slow_names_of_ten_tenants_delay_nobody_else",
    ),
    102: (
        f"{WEBHOOK}::test_a_tenants_url_with_a_trick",
        f"{WEBHOOK}::test_a_name_that_leads_to_a_forbidden_address",
        f"{WEBHOOK}::test_rebinding_finds_no_second_look_up",
        f"{WEBHOOK}::test_redirects_are_not_followed",
    ),
}

# G-60, by phase; each with reset, end, stall, garbage and slow.
GOAL_60: dict[str, tuple[str, ...]] = {
    "connect": (
        f"{PHASES}::test_before_the_first_byte",
        f"{DIALING}::test_refused",
        f"{DIALING}::test_connect_timeout",
        f"{DIALING}::test_reset_before_it_was_looked_at",
        f"{FAILOVER}::test_a_connection_that_is_refused",
    ),
    "TLS": (
        f"{PHASES}::test_before_the_first_byte",
        f"{DIALING}::test_tls_that_does_not_verify",
        f"{DIALING}::test_no_tls_at_all",
        f"{DIALING}::test_tls_timeout",
    ),
    "headers": (
        f"{PHASES}::test_before_the_first_byte",
        f"{FAULTS}::test_before_the_first_byte",
        f"{FAILOVER}::test_a_target_that_stalls",
        f"{DIALECTS}::test_stalls",
        f"{DIALECTS}::test_a_stream_that_drips",
    ),
    "first token": (
        f"{PHASES}::test_before_the_first_byte",
        f"{FAULTS}::test_before_the_first_event_or_the_whole_body",
        f"{PHASES}::test_half_of_a_whole_answer",
        f"{FAILOVER}::test_the_client_sees_the_winner_alone",
        f"{PHASES}::test_slowly",
    ),
    "mid": (
        f"{PHASES}::test_after_the_first_byte",
        f"{FAULTS}::test_in_the_middle_of_a_stream",
        f"{FAILOVER}::test_once_the_client_has_something_there_is_no_other",
        f"{PHASES}::test_slowly",
    ),
    "before usage": (f"{PHASES}::test_after_the_first_byte", f"{PHASES}::test_slowly"),
    "after usage": (
        f"{PHASES}::test_after_the_first_byte",
        f"{FAULTS}::test_before_the_done",
        f"{PHASES}::test_slowly",
    ),
}

PARTLY: dict[int, str] = {}
