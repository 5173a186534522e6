"""Every table, on one metadata. Portable types and constraints only: the same definitions serve
SQLite and PostgreSQL. A change here needs a migration; a test compares the two.

Units: columns ending in `_s` are UTC seconds, in `_ns` UTC nanoseconds, `_nusd` nano-USD. Each
configuration row carries the `version` of the snapshot that last changed it.
"""

from tollway.adapters.sql.tables.access import access_tokens as access_tokens
from tollway.adapters.sql.tables.access import identity_links as identity_links
from tollway.adapters.sql.tables.access import login_attempts as login_attempts
from tollway.adapters.sql.tables.access import sessions as sessions
from tollway.adapters.sql.tables.alerts import deliveries as deliveries
from tollway.adapters.sql.tables.alerts import events as events
from tollway.adapters.sql.tables.alerts import job_marks as job_marks
from tollway.adapters.sql.tables.alerts import webhooks as webhooks
from tollway.adapters.sql.tables.base import metadata as metadata
from tollway.adapters.sql.tables.identity import accounts as accounts
from tollway.adapters.sql.tables.identity import api_keys as api_keys
from tollway.adapters.sql.tables.identity import memberships as memberships
from tollway.adapters.sql.tables.identity import peppers as peppers
from tollway.adapters.sql.tables.identity import projects as projects
from tollway.adapters.sql.tables.identity import tenant_settings as tenant_settings
from tollway.adapters.sql.tables.identity import tenants as tenants
from tollway.adapters.sql.tables.ledger import ledger_closings as ledger_closings
from tollway.adapters.sql.tables.ledger import ledger_entries as ledger_entries
from tollway.adapters.sql.tables.ledger import ledger_quarantine as ledger_quarantine
from tollway.adapters.sql.tables.ledger import ship_cursors as ship_cursors
from tollway.adapters.sql.tables.ledger import usage_rollups_15m as usage_rollups_15m
from tollway.adapters.sql.tables.ledger import usage_rollups_day as usage_rollups_day
from tollway.adapters.sql.tables.quotas import gateways as gateways
from tollway.adapters.sql.tables.quotas import quotas as quotas
from tollway.adapters.sql.tables.records import audit_log as audit_log
from tollway.adapters.sql.tables.records import idempotent_replies as idempotent_replies
from tollway.adapters.sql.tables.routing import grants as grants
from tollway.adapters.sql.tables.routing import model_targets as model_targets
from tollway.adapters.sql.tables.routing import models as models
from tollway.adapters.sql.tables.routing import prices as prices
from tollway.adapters.sql.tables.routing import provider_config as provider_config
from tollway.adapters.sql.tables.routing import provider_credentials as provider_credentials
from tollway.adapters.sql.tables.routing import providers as providers
from tollway.adapters.sql.tables.routing import snapshot_version as snapshot_version
from tollway.adapters.sql.tables.routing import tombstones as tombstones
