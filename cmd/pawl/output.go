package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// printJSON prints one value as JSON, on one line. A message is printed as the API writes
// it, with its empty fields, so that scripts find each name they ask for.
func printJSON(cmd *cobra.Command, v any) error {
	var line []byte
	var err error
	if m, ok := v.(proto.Message); ok {
		line, err = protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
		var same bytes.Buffer // protojson varies its spaces from build to build
		if err == nil && json.Compact(&same, line) == nil {
			line = same.Bytes()
		}
	} else {
		line, err = json.Marshal(v)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), string(line))
	return err
}

// table prints aligned columns without borders, so that scripts can cut them.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, heads ...string) *table {
	t := &table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.row(heads...)
	return t
}

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = oneLine(c)
	}
	fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

// wide is row with a last cell that may be as long as it is.
func (t *table) wide(cells ...string) {
	last := len(cells) - 1
	for i, c := range cells[:last] {
		cells[i] = oneLine(c)
	}
	fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

func (t *table) flush() error { return t.w.Flush() }

// maxCell cuts long cells: a table never wraps.
const maxCell = 80

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxCell {
		return string(r[:maxCell-1]) + "…"
	}
	return s
}

// when shows a time, empty when there is none.
func when(t *timestamppb.Timestamp) string {
	if t == nil || t.AsTime().UnixMilli() == 0 {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
