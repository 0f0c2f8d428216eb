package fsm

// Status is the state of an execution.
type Status uint8

// The states of an execution. Numbers are stored.
const (
	Running Status = 1 + iota
	Paused
	Completed
	Failed
	TimedOut
	Terminated
)

// Terminal reports whether s is an end.
func (s Status) Terminal() bool { return s > Paused }

// String gives the name that Conductor's API uses.
func (s Status) String() string {
	switch s {
	case Running:
		return "RUNNING"
	case Paused:
		return "PAUSED"
	case Completed:
		return "COMPLETED"
	case Failed:
		return "FAILED"
	case TimedOut:
		return "TIMED_OUT"
	case Terminated:
		return "TERMINATED"
	}
	return ""
}

// ParseStatus reads what Status.String writes.
func ParseStatus(s string) (Status, bool) {
	for st := Running; st <= Terminated; st++ {
		if st.String() == s {
			return st, true
		}
	}
	return 0, false
}

// TaskStatus is the state of a task.
type TaskStatus uint8

// The states of a task. Numbers are stored.
const (
	TaskStatusScheduled TaskStatus = 1 + iota
	TaskStatusInProgress
	TaskStatusCompleted
	TaskStatusCompletedWithErrors
	TaskStatusSkipped
	TaskStatusFailed
	TaskStatusFailedTerminal
	TaskStatusTimedOut
	TaskStatusCanceled
)

// Terminal reports whether s is an end.
func (s TaskStatus) Terminal() bool { return s > TaskStatusInProgress }

// Successful reports whether the flow goes on after s as after a success.
func (s TaskStatus) Successful() bool { return s < TaskStatusFailed }

// Retriable reports whether another attempt may follow s.
func (s TaskStatus) Retriable() bool { return s == TaskStatusFailed || s == TaskStatusTimedOut }

// String gives the name that Conductor's API uses.
func (s TaskStatus) String() string {
	switch s {
	case TaskStatusScheduled:
		return "SCHEDULED"
	case TaskStatusInProgress:
		return "IN_PROGRESS"
	case TaskStatusCompleted:
		return "COMPLETED"
	case TaskStatusCompletedWithErrors:
		return "COMPLETED_WITH_ERRORS"
	case TaskStatusSkipped:
		return "SKIPPED"
	case TaskStatusFailed:
		return "FAILED"
	case TaskStatusFailedTerminal:
		return "FAILED_WITH_TERMINAL_ERROR"
	case TaskStatusTimedOut:
		return "TIMED_OUT"
	case TaskStatusCanceled:
		return "CANCELED"
	}
	return ""
}

// ParseTaskStatus reads what TaskStatus.String writes.
func ParseTaskStatus(s string) (TaskStatus, bool) {
	for st := TaskStatusScheduled; st <= TaskStatusCanceled; st++ {
		if st.String() == s {
			return st, true
		}
	}
	return 0, false
}
