package avi

import "math"

// field is a field of an UpgradeStatusInfo.
type field struct {
	*shape
	told bool // by the Engine: a client may only repeat it
}

type fields = map[string]*shape

func textOf(words ...string) *shape { return &shape{kind: text, words: words} }
func numberTo(most int64) *shape    { return &shape{kind: number, most: most} }
func listOf(item *shape) *shape     { return &shape{kind: list, item: item} }
func objectOf(f fields) *shape      { return &shape{kind: object, fields: f} }

// The enums, in the document's order where it gives one.
var (
	nodeTypes = textOf("NODE_CONTROLLER_CLUSTER", "NODE_SE_GROUP", "NODE_SE_TYPE")
	ops       = textOf("UPGRADE", "PATCH", "ROLLBACK", "ROLLBACKPATCH", "SEGROUP_RESUME", "EVAL_UPGRADE", "EVAL_PATCH", "EVAL_ROLLBACK",
		"EVAL_ROLLBACKPATCH", "EVAL_SEGROUP_RESUME", "EVAL_RESTORE", "RESTORE", "UPGRADE_DRYRUN")
	fsmStates = textOf("UPGRADE_FSM_INIT", "UPGRADE_FSM_STARTED", "UPGRADE_FSM_WAITING", "UPGRADE_FSM_IN_PROGRESS", "UPGRADE_FSM_ENQUEUED",
		"UPGRADE_FSM_ERROR", "UPGRADE_FSM_SUSPENDED", "UPGRADE_FSM_ENQUEUE_FAILED", "UPGRADE_FSM_PAUSED", "UPGRADE_FSM_COMPLETED",
		"UPGRADE_FSM_ABORT_IN_PROGRESS", "UPGRADE_FSM_ABORTED", "UPGRADE_FSM_SE_UPGRADE_IN_PROGRESS", "UPGRADE_FSM_CONTROLLER_COMPLETED",
		"UPGRADE_FSM_DUMMY_3", "UPGRADE_FSM_DUMMY_4", "UPGRADE_FSM_DUMMY_5", "UPGRADE_PRE_CHECK_STARTED", "UPGRADE_PRE_CHECK_IN_PROGRESS",
		"UPGRADE_PRE_CHECK_SUCCESS", "UPGRADE_PRE_CHECK_ERROR", "UPGRADE_PRE_CHECK_WARNING")
	actions = textOf(onErrorSuspend, onErrorRollback, onErrorContinue)
	haModes = textOf("HA_MODE_SHARED_PAIR", "HA_MODE_SHARED", "HA_MODE_LEGACY_ACTIVE_STANDBY")
	traffic = textOf("TRAFFIC_DISRUPTED", "TRAFFIC_NOT_DISRUPTED")
)

const (
	onErrorSuspend  = "SUSPEND_UPGRADE_OPS_ON_ERROR"
	onErrorRollback = "ROLLBACK_UPGRADE_OPS_ON_ERROR"
	onErrorContinue = "CONTINUE_UPGRADE_OPS_ON_ERROR"
)

var (
	word    = textOf()
	words   = listOf(word)
	truth   = &shape{kind: flag}
	count   = numberTo(math.MaxInt32)
	percent = numberTo(100)
	moment  = objectOf(fields{"secs": numberTo(1 << 53), "usecs": numberTo(999_999)})

	options = objectOf(fields{"action_on_error": actions, "disruptive": truth})
	params  = objectOf(fields{
		"controller": objectOf(fields{"task_base_timeout": count}), "image_ref": word, "patch_ref": word,
		"se_group_options":        options,
		"se_group_resume_options": objectOf(fields{"action_on_error": actions, "disruptive": truth, "skip_suspended": truth}),
		"service_engine": objectOf(fields{
			"concurrent_segroup_upgrades": count, "image_data_transfer_size": count, "large_se_connect_timeout": count,
			"se_connect_timeout": count, "simultaneous_image_downloads": count, "task_base_timeout": count,
		}),
	})
	patches  = listOf(objectOf(fields{"patch_image_path": word, "patch_image_ref": word, "patch_version": word}))
	fsmState = objectOf(fields{"last_changed_time": moment, "reason": word, "rebooted": truth, "state": fsmStates})
	event    = objectOf(fields{
		"duration": count, "end_time": word, "ip": objectOf(fields{"addr": word, "type": word}), "message": word, "start_time": word,
		"status": truth, "sub_tasks": words,
	})
	events   = listOf(objectOf(fields{"nodes_events": listOf(event), "sub_events": listOf(event), "task": word, "task_name": word}))
	seEvents = listOf(objectOf(fields{
		"from_se_ref": word, "num_se": count, "num_se_group": count, "num_vs": count, "reason": words, "se_group_ha_mode": haModes,
		"se_group_ref": word, "se_ref": word, "sub_tasks": words, "task": word, "to_se_ref": word, "traffic_status": traffic, "vs_ref": word,
	}))
	vsErrors = listOf(objectOf(fields{
		"event_timestamp": moment, "reason": words, "se_group_ha_mode": haModes, "se_group_ref": word, "se_ref": word, "tenant_ref": word,
		"traffic_status": traffic, "vip_id": word, "vs_ref": word,
	}))
	segStatus = objectOf(fields{
		"controller_version": word, "disrupted_vs_ref": words, "duration": word, "end_time": word, "enqueue_time": word, "ha_mode": haModes,
		"in_progress": truth, "notes": words, "num_se": count, "num_se_with_no_vs": count, "num_se_with_vs_not_scaledout": count,
		"num_se_with_vs_scaledout": count, "num_vs": count, "num_vs_disrupted": count, "progress": percent, "reason": words,
		"request_time": word, "se_already_upgraded_at_start": words, "se_disconnected_at_start": words, "se_group_name": word,
		"se_group_uuid": word, "se_ip_missing_at_start": words, "se_poweredoff_at_start": words, "se_reboot_in_progress_ref": word,
		"se_upgrade_completed": words, "se_upgrade_errors": seEvents, "se_upgrade_failed": words, "se_upgrade_in_progress": words,
		"se_upgrade_not_started": words, "se_upgrade_skip_suspended": words, "se_upgrade_suspended": words, "se_with_no_vs": words,
		"se_with_vs_not_scaledout": words, "se_with_vs_scaledout": words, "start_time": word, "state": word, "tenant_ref": word,
		"thread": word, "traffic_status": traffic, "vs_errors": vsErrors, "vs_migrate_in_progress_ref": words,
		"vs_scalein_in_progress_ref": words, "vs_scaleout_in_progress_ref": words, "worker": word,
	})
	history = listOf(objectOf(fields{
		"duration": count, "end_time": word, "ops": ops, "patch_version": word, "se_upgrade_events": seEvents, "seg_status": segStatus,
		"start_time": word, "state": fsmState, "statediff_ref": word, "upgrade_events": events, "version": word,
	}))
	dryrun = objectOf(fields{
		"duration": count, "end_time": word, "operation": ops,
		"params": objectOf(fields{
			"controller_patch_ref": word, "dryrun": truth, "image_ref": word, "prechecks_only": truth, "se_group_options": options,
			"se_group_refs": words, "se_patch_ref": word, "skip_warnings": truth, "system": truth,
		}),
		"progress": percent, "start_time": word, "state": fsmState, "tasks_completed": count, "total_tasks": count,
		"upgrade_events": events, "worker": word,
	})
	readiness = objectOf(fields{
		"checks": listOf(objectOf(fields{
			"check_code": word, "description": word, "details": words, "duration": count, "end_time": word, "error_details": words,
			"start_time": word, "state": fsmStates,
		})),
		"checks_completed": count, "duration": count, "end_time": word, "image_ref": word, "patch_image_ref": word, "progress": percent,
		"start_time": word, "state": fsmState, "total_checks": count, "upgrade_ops": ops,
	})
)

// document is every field of an UpgradeStatusInfo.
var document = func() map[string]field {
	all := map[string]field{}
	for name, s := range (fields{
		"uuid": word, "url": word, "_last_modified": word, "state": fsmState, "reason": word, "progress": percent, "tasks_completed": count,
		"total_tasks": count, "enqueue_time": word, "start_time": word, "end_time": word, "duration": count, "upgrade_events": events,
		"se_upgrade_events": seEvents, "history": history, "seg_status": segStatus, "upgrade_readiness": readiness,
	}) {
		all[name] = field{s, true}
	}
	for name, s := range (fields{
		"clean": truth, "enable_patch_rollback": truth, "enable_rollback": truth, "fips_mode": truth, "patch_reboot": truth, "system": truth,
		"dryrun_info": dryrun, "node_type": nodeTypes, "upgrade_ops": ops, "params": params, "seg_params": params,
		"patch_list": patches, "previous_patch_list": patches, "system_report_refs": words,
	}) {
		all[name] = field{s, false}
	}
	for _, name := range []string{
		"after_reboot_rollback_fnc", "after_reboot_task_name", "image_path", "image_ref", "name", "obj_cloud_ref", "patch_image_path",
		"patch_image_ref", "patch_version", "prev_image_path", "prev_patch_image_path", "prev_remote_image_ref", "previous_image_ref",
		"previous_patch_image_ref", "previous_patch_version", "previous_version", "remote_image_ref", "se_patch_image_path",
		"se_patch_image_ref", "statediff_ref", "tenant_ref", "version",
	} {
		all[name] = field{word, false}
	}
	return all
}()
