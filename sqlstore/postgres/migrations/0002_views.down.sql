DROP VIEW ota_claim_list;
DROP VIEW ota_event_list;
DROP VIEW ota_agent_list;
DROP VIEW ota_batch_list;
DROP VIEW ota_plan_list;
