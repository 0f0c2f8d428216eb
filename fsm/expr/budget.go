package expr

import "errors"

// MaxEvalSteps is the budget of one evaluation: about 30 ms of work.
const MaxEvalSteps = 262144

const (
	bytesPerStep       = 64  // scanned, parsed or converted
	copiedBytesPerStep = 256 // only copied: at most 64 MiB in one evaluation
)

// ErrBudget is the error of an evaluation that used up its Budget.
var ErrBudget = errors.New("expression budget")

// Budget bounds the work of one evaluation. A step is 64 bytes scanned or one
// node visited. It is not safe for concurrent use. A nil *Budget has no bound.
type Budget struct {
	Steps int // left
}

// spend takes one step and those for n bytes.
func (b *Budget) spend(n int) error { return b.take(1 + n/bytesPerStep) }

// copied takes the steps for n bytes copied.
func (b *Budget) copied(n int) error { return b.take(n / copiedBytesPerStep) }

func (b *Budget) take(steps int) error {
	if b == nil {
		return nil
	}
	if b.Steps -= steps; b.Steps < 0 {
		b.Steps = 0
		return ErrBudget
	}
	return nil
}
