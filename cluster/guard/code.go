package guard

import (
	"errors"
	"fmt"

	"github.com/pawlhq/pawl/cluster/disk"
)

// Exit codes of a node. A supervisor may start it again, with backoff, on
// ExitInvariant to ExitNoSpace; the others need a person.
const (
	ExitOK        = 0  // was asked to stop
	ExitConfig    = 64 // bad configuration
	ExitDamaged   = 65 // damaged data: repair or rebuild
	ExitIdentity  = 66 // wrong cluster, identity or incarnation
	ExitInvariant = 70 // something that cannot happen did
	ExitStorage   = 71 // the disk answered with an error
	ExitWatchdog  = 72 // the disk did not answer
	ExitNoSpace   = 73 // the disk is full
	ExitVersion   = 74 // data of a newer version
)

// Damaged is the error of data that was stored and can no longer be read as
// it was: a checksum does not match, or something is missing in the middle.
type Damaged struct {
	File   string // name below the data folder
	Offset int64  // where in the file; -1 when that means nothing
	What   string // what was found, as the end of a sentence
}

// Error names the file and the place.
func (d *Damaged) Error() string {
	if d.Offset < 0 {
		return fmt.Sprintf("%s is damaged: %s", d.File, d.What)
	}
	return fmt.Sprintf("%s is damaged at byte %d: %s", d.File, d.Offset, d.What)
}

// ExitCode is ExitDamaged.
func (d *Damaged) ExitCode() int { return ExitDamaged }

// Foreign is the error of files that belong to another node or cluster.
type Foreign struct {
	File string // name below the data folder
	What string // which of the ids differs, as the end of a sentence
}

// Error names the file and what differs.
func (f *Foreign) Error() string {
	return fmt.Sprintf("%s belongs elsewhere: %s", f.File, f.What)
}

// ExitCode is ExitIdentity.
func (f *Foreign) ExitCode() int { return ExitIdentity }

// Newer is the error of a file in a format this binary does not know yet.
type Newer struct {
	File    string // name below the data folder
	Version uint16 // what the file says
	Known   uint16 // the newest version this binary reads
}

// Error names the file and both versions.
func (n *Newer) Error() string {
	return fmt.Sprintf("%s has format version %d, this binary reads up to %d", n.File, n.Version, n.Known)
}

// ExitCode is ExitVersion.
func (n *Newer) ExitCode() int { return ExitVersion }

// Code is the exit code for a storage error: what the error itself says,
// ExitNoSpace for a full disk, else ExitStorage. Nil is ExitOK.
func Code(err error) int {
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &coded):
		return coded.ExitCode()
	case disk.IsNoSpace(err):
		return ExitNoSpace
	}
	return ExitStorage
}
