package sdktest_test

import (
	"testing"

	"github.com/pawlhq/pawl/sdk/sdktest"
)

// folder is a test that sees when its folder is about to go.
type folder struct {
	testing.TB
	goes func()
}

func (f *folder) TempDir() string {
	dir := f.TB.TempDir()
	f.Cleanup(func() { f.goes() })
	return dir
}

// A node whose folder went before it stopped would end the process that it runs in.
func TestNodesStopBeforeTheirFolderGoes(t *testing.T) {
	left := -1
	t.Run("a test", func(t *testing.T) {
		var c *sdktest.Cluster
		c = sdktest.Start(&folder{TB: t, goes: func() { left = c.Running() }}, 1)
		if n := c.Running(); n != 1 {
			t.Fatalf("%d nodes run, want 1", n)
		}
	})
	if left != 0 {
		t.Errorf("%d nodes run when their folder goes, want none", left)
	}
}
