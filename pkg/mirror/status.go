package mirror

// Status is a mirror topic's status, as a cluster gives it. The set is open: a server may give others.
type Status string

// The statuses that are known (contract; what they mean is observed).
const (
	StatusActive                 Status = "ACTIVE"          // kept up to date by its link; not proof that it has caught up
	StatusPaused                 Status = "PAUSED"          // not kept up to date until it is resumed
	StatusStopped                Status = "STOPPED"         // no mirror any more: an ordinary, writable topic
	StatusPendingStopped         Status = "PENDING_STOPPED" // being stopped: accepted, not done
	StatusPendingMirror          Status = "PENDING_MIRROR"  // a former source that is becoming a mirror
	StatusPendingSetupForRestore Status = "PENDING_SETUP_FOR_RESTORE"
	StatusPendingRestore         Status = "PENDING_RESTORE" // being truncated and restored
	StatusPendingSynchronize     Status = "PENDING_SYNCHRONIZE"
	StatusFailed                 Status = "FAILED"             // the mirror has failed, or a change of it
	StatusLinkFailed             Status = "LINK_FAILED"        // its link has failed
	StatusLinkPaused             Status = "LINK_PAUSED"        // its link is paused
	StatusSourceUnavailable      Status = "SOURCE_UNAVAILABLE" // its source cannot be reached
)
