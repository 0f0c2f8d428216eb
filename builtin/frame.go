package builtin

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// maxFrame bounds a message between a process and its children: a source and the
// largest input of a task, and what JSON adds to them.
const maxFrame = 32 << 20

// hello is the first frame of a child: the version of what follows.
const hello = "pawl eval-worker 1"

// request is a job on its way to a child.
type request struct {
	Job
	// Check asks only whether the source can be parsed.
	Check bool          `json:"check,omitempty"`
	Limit time.Duration `json:"limit"`
}

func writeFrame(w io.Writer, v any) error {
	frame, err := encode(v)
	if err == nil {
		_, err = w.Write(frame)
	}
	return err
}

// encode makes a frame: the length of the JSON, four bytes, and the JSON.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if len(body) > maxFrame {
		return nil, fmt.Errorf("source and input take %d bytes; at most %d are allowed", len(body), maxFrame)
	}
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, len(body)+4), uint32(len(body))), body...), nil
}

func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return fmt.Errorf("a frame of %d bytes; at most %d are allowed", n, maxFrame)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return json.Unmarshal(body, v)
}
