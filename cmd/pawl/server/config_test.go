package server

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pawlhq/pawl/cluster/peer"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func lookup(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func TestLaterSourcesOverrideEarlierOnes(t *testing.T) {
	c := Defaults()
	if err := c.File(file(t, "profile: wan\nexpect: 5\nlisten: 127.0.0.1:1\ngossip: false\n")); err != nil {
		t.Fatal(err)
	}
	if err := c.Environment(lookup(map[string]string{"PAWL_EXPECT": "3", "PAWL_LISTEN": "127.0.0.1:2"})); err != nil {
		t.Fatal(err)
	}
	if err := c.Set("listen", "127.0.0.1:3", "flag --listen"); err != nil {
		t.Fatal(err)
	}
	if c.Profile != "wan" || c.Gossip || c.Expect != 3 || c.Listen != "127.0.0.1:3" || c.PeerListen != "127.0.0.1:7401" {
		t.Errorf("got %+v; want file, then environment, then flags", c)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestBadSettingsAreNamedWithTheirOrigin(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		env        map[string]string
		says       []string
	}{
		{"unknown key", "dta: x", nil, []string{"dta", "node.yaml", "did you mean data?"}},
		{"list for a value", "data: [a]", nil, []string{"data", "single value"}},
		{"no mapping", "- a", nil, []string{"node.yaml"}},
		{"number", "expect: many", nil, []string{"expect", `"many" is not a number`}},
		{"truth", "", map[string]string{"PAWL_GOSSIP": "maybe"}, []string{"gossip", "PAWL_GOSSIP", "true or false"}},
		{"even", "", map[string]string{"PAWL_EXPECT": "2"}, []string{"expect", "PAWL_EXPECT", "1, 3 or 5"}},
		{"profile", "expect: 1\nprofile: moon", nil, []string{"profile", "node.yaml", "lan, fast or wan"}},
		{"open to the world", "expect: 1\nlisten: 0.0.0.0:80", nil, []string{"listen", "node.yaml", "listen_without_tls"}},
		{"peers open to the world", "expect: 1\npeer_listen: ':80'", nil, []string{"peer_listen", "listen_without_tls"}},
		{"no port", "expect: 1\nlisten: localhost", nil, []string{"listen", "HOST:PORT"}},
		{"nothing at all", "", nil, []string{"expect", "needs expect"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Defaults()
			err := cfg.File(file(t, c.yaml))
			if err == nil {
				err = cfg.Environment(lookup(c.env))
			}
			if err == nil {
				err = cfg.Check()
			}
			var bad *ConfigError
			if !errors.As(err, &bad) || bad.ExitCode() != 64 {
				t.Fatalf("got %v; want a ConfigError", err)
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("it says %q; want %q in it", err, word)
				}
			}
		})
	}
}

func TestAddressesBeyondLoopbackNeedTheFlag(t *testing.T) {
	c := Defaults()
	c.Expect, c.Listen, c.PeerListen, c.WithoutTLS = 1, "0.0.0.0:80", ":81", true
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// town says who listens where.
type town map[string]peer.Hello

func (w town) Probe(_ context.Context, addr string) (peer.Hello, error) {
	if h, ok := w[addr]; ok {
		return h, nil
	}
	return peer.Hello{}, errors.New("nobody")
}

func TestNodeAmongStrangersStops(t *testing.T) {
	net := town{"own": {ClusterID: "a"}, "other": {ClusterID: "b"}, "fresh": {}}
	for _, c := range []struct {
		seeds  []string
		refuse bool
	}{
		{nil, false},
		{[]string{"gone"}, false},
		{[]string{"own", "gone"}, false},
		{[]string{"own", "other"}, false}, // one stale address stops nobody
		{[]string{"fresh", "gone"}, false},
		{[]string{"other", "gone"}, true},
		{[]string{"other", "other"}, true},
	} {
		err := checkNeighbours(t.Context(), net, "a", c.seeds)
		var foreign *ForeignError
		if errors.As(err, &foreign) != c.refuse {
			t.Errorf("with %v: got %v, want refused %v", c.seeds, err, c.refuse)
		}
		if c.refuse && (foreign.Own != "a" || foreign.Other != "b" || foreign.ExitCode() != 66) {
			t.Errorf("got %+v", foreign)
		}
	}
}
