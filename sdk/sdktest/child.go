package sdktest

import (
	"os"

	"github.com/pawlhq/pawl/builtin"
)

// The nodes of a cluster evaluate scripts in children, which are this program started
// again: a test binary, whose tests must not run there. So they are asked for before
// anything else of it runs.
func init() {
	if builtin.IsChild() {
		os.Exit(builtin.ServeChild(os.Stdin, os.Stdout))
	}
}
