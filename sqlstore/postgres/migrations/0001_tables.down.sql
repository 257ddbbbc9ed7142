DROP TABLE ota_inbox, ota_leases, ota_claims, ota_log, ota_agents, ota_batches, ota_plan_labels, ota_plan_controls,
    ota_plan_specs, ota_plans, ota_drafts;
