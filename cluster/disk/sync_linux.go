package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData flushes the data and only the metadata needed to read it back: a
// log that writes into blocks it already owns then costs one flush, not two.
func syncData(f *os.File) error {
	for {
		// An interrupted call has not failed, it has not happened.
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}
