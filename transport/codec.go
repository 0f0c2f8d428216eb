package transport

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/pawlhq/pawl/fsm"
)

// strictJSON is the JSON codec that refuses unknown fields: a misspelt field is a
// mistake of the caller, not something to be passed over.
//
// Requests are decoded before interceptors run, and an error of a codec reaches the
// client without details. So a request that does not decode is passed on as an empty
// message with the reason in its unknown fields, and decodeFault finds it there.
type strictJSON struct{ name string }

// faultField is the number of the unknown field that holds the reason: the highest
// there is, which no schema of ours uses.
const faultField protowire.Number = 1<<29 - 1

func jsonCodecs() []connect.HandlerOption {
	return []connect.HandlerOption{
		connect.WithCodec(&strictJSON{"json"}),
		connect.WithCodec(&strictJSON{"json; charset=utf-8"}),
	}
}

func (c *strictJSON) Name() string { return c.name }

func (c *strictJSON) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a message", message)
	}
	return protojson.Marshal(m)
}

func (c *strictJSON) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a message", message)
	}
	var err error
	if len(data) == 0 {
		err = errors.New("the body is empty; it has to be a JSON object")
	} else {
		err = protojson.Unmarshal(data, m)
	}
	if err != nil {
		proto.Reset(m)
		raw := protowire.AppendTag(nil, faultField, protowire.BytesType)
		m.ProtoReflect().SetUnknown(protowire.AppendString(raw, err.Error()))
	}
	return nil
}

// fieldInError finds the field's name in the texts of protojson.
var fieldInError = regexp.MustCompile(`unknown field "([^"]*)"|field ([A-Za-z0-9_.]+):|duplicate field "([^"]*)"`)

// decodeFault gives the reason why message did not decode, nil when it did.
func decodeFault(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return nil
	}
	raw := m.ProtoReflect().GetUnknown()
	if len(raw) == 0 {
		return nil
	}
	num, kind, n := protowire.ConsumeTag(raw)
	if n < 0 || num != faultField || kind != protowire.BytesType {
		return nil
	}
	text, n := protowire.ConsumeString(raw[n:])
	if n < 0 {
		return nil
	}
	// The library begins its texts with "proto:" and a space that varies.
	text = strings.TrimLeft(strings.TrimPrefix(text, "proto:"), " \u00a0")
	r := &fsm.Rejection{Code: fsm.Malformed, Message: "the request does not decode: " + text}
	if found := fieldInError.FindStringSubmatch(text); found != nil {
		r.Field = found[1] + found[2] + found[3]
	}
	return r
}
