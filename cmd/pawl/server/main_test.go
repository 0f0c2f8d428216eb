package server

import (
	"os"
	"testing"

	"github.com/pawlhq/pawl/builtin"
)

func TestMain(m *testing.M) {
	if builtin.IsChild() {
		os.Exit(builtin.ServeChild(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}
