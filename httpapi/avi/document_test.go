package avi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The names in the document's body, each once. What a client may send is these, and nothing else.
const documentNames = `_last_modified action_on_error addr after_reboot_rollback_fnc after_reboot_task_name check_code checks
checks_completed clean concurrent_segroup_upgrades controller controller_patch_ref controller_version description details disruptive
disrupted_vs_ref dryrun dryrun_info duration enable_patch_rollback enable_rollback end_time enqueue_time error_details event_timestamp
fips_mode from_se_ref ha_mode history image_data_transfer_size image_path image_ref in_progress ip large_se_connect_timeout
last_changed_time message name node_type nodes_events notes num_se num_se_group num_se_with_no_vs num_se_with_vs_not_scaledout
num_se_with_vs_scaledout num_vs num_vs_disrupted obj_cloud_ref operation ops params patch_image_path patch_image_ref patch_list
patch_reboot patch_ref patch_version prechecks_only prev_image_path prev_patch_image_path prev_remote_image_ref previous_image_ref
previous_patch_image_ref previous_patch_list previous_patch_version previous_version progress reason rebooted remote_image_ref
request_time se_already_upgraded_at_start se_connect_timeout se_disconnected_at_start se_group_ha_mode se_group_name se_group_options
se_group_ref se_group_refs se_group_resume_options se_group_uuid se_ip_missing_at_start se_patch_image_path se_patch_image_ref
se_patch_ref se_poweredoff_at_start se_reboot_in_progress_ref se_ref se_upgrade_completed se_upgrade_errors se_upgrade_events
se_upgrade_failed se_upgrade_in_progress se_upgrade_not_started se_upgrade_skip_suspended se_upgrade_suspended se_with_no_vs
se_with_vs_not_scaledout se_with_vs_scaledout secs seg_params seg_status service_engine simultaneous_image_downloads skip_suspended
skip_warnings start_time state statediff_ref status sub_events sub_tasks system system_report_refs task task_base_timeout task_name
tasks_completed tenant_ref thread to_se_ref total_checks total_tasks traffic_status type upgrade_events upgrade_ops upgrade_readiness
url usecs uuid version vip_id vs_errors vs_migrate_in_progress_ref vs_ref vs_scalein_in_progress_ref vs_scaleout_in_progress_ref worker`

func TestDocument(t *testing.T) {
	have := map[string]bool{}
	var walk func(*shape)
	walk = func(s *shape) {
		for name, f := range s.fields {
			have[name] = true
			walk(f)
		}
		if s.item != nil {
			walk(s.item)
		}
	}
	for name, f := range document {
		have[name] = true
		walk(f.shape)
	}
	want := strings.Fields(documentNames)
	for _, name := range want {
		if !have[name] {
			t.Errorf("%s is missing", name)
		}
	}
	for name := range have {
		if !slices.Contains(want, name) {
			t.Errorf("%s is not in the document", name)
		}
	}
	if len(document) != 53 {
		t.Errorf("there are %d fields, want 53", len(document))
	}
	for name := range projections {
		if _, ok := document[name]; !ok {
			t.Errorf("%s is shown, and not in the document", name)
		}
	}
}

// openapi.json has every field of the document, and no other.
func TestFieldsInOpenAPI(t *testing.T) {
	var doc struct {
		Components struct {
			Schemas struct {
				UpgradeStatusInfo struct{ Properties map[string]any }
			}
		}
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	have := doc.Components.Schemas.UpgradeStatusInfo.Properties
	for name := range document {
		if have[name] == nil {
			t.Errorf("openapi.json has no %s", name)
		}
	}
	if len(have) != len(document) {
		t.Errorf("openapi.json has %d fields, want %d", len(have), len(document))
	}
}
