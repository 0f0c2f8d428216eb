package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is what a person may choose about a node. The precedence is: defaults, file,
// environment, flags. Every field has one name in all of them.
type Config struct {
	// Data is the node's folder. Empty keeps everything in memory.
	Data string `yaml:"data"`
	// Listen is where clients and workers connect.
	Listen string `yaml:"listen"`
	// Advertise is the address that clients are sent to; Listen when empty.
	Advertise string `yaml:"advertise"`
	// PeerListen is where other nodes connect.
	PeerListen string `yaml:"peer_listen"`
	// PeerAdvertise is the address that other nodes are told; PeerListen when empty.
	PeerAdvertise string `yaml:"peer_advertise"`
	// Gossip finds peers by packets on the UDP port of PeerListen. Off when false.
	Gossip bool `yaml:"gossip"`
	// Join lists peer addresses to try, comma separated.
	Join string `yaml:"join"`
	// Expect is how many nodes found the cluster together: 1, 3 or 5. It means nothing
	// once the node belongs to one.
	Expect int `yaml:"expect"`
	// Profile is lan, fast or wan: how soon a silent leader is noticed.
	Profile string `yaml:"profile"`
	// DebugListen is a loopback address for profiles; off when empty.
	DebugListen string `yaml:"debug_listen"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `yaml:"log_level"`
	// WithoutTLS allows addresses beyond loopback although nothing is encrypted yet.
	WithoutTLS bool `yaml:"listen_without_tls"`

	// origins says where settings that are no defaults came from.
	origins map[string]string
}

// Defaults is the configuration of a node that is told nothing.
func Defaults() Config {
	return Config{
		Listen: "127.0.0.1:8080", PeerListen: "127.0.0.1:7401", Gossip: true, Profile: "lan", LogLevel: "info",
	}
}

// ConfigError says which setting is wrong and where it came from.
type ConfigError struct {
	Setting string
	Origin  string // file, environment, flag or default
	Problem string
}

// Error names the setting.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("configuration: %s (from %s): %s", e.Setting, e.Origin, e.Problem)
}

// ExitCode is that of a bad configuration.
func (e *ConfigError) ExitCode() int { return 64 }

// setting is one field of Config.
type setting struct {
	name  string
	value reflect.Value
}

func settings(c *Config) []setting {
	v := reflect.ValueOf(c).Elem()
	var out []setting
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			out = append(out, setting{name: name, value: v.Field(i)})
		}
	}
	return out
}

// Names lists the settings in the order of Config.
func Names() []string {
	var out []string
	for _, s := range settings(new(Config)) {
		out = append(out, s.name)
	}
	return out
}

// File reads a YAML file over c. A key that is no setting is refused with the nearest
// name.
func (c *Config) File(path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return &ConfigError{Setting: "config", Origin: "flag", Problem: err.Error()}
	}
	var keys map[string]yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(src)).Decode(&keys); err != nil && !errors.Is(err, io.EOF) {
		return &ConfigError{Setting: "config", Origin: "file " + path, Problem: err.Error()}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		node := keys[key]
		if node.Kind != yaml.ScalarNode {
			return &ConfigError{Setting: key, Origin: "file " + path, Problem: "must be a single value"}
		}
		if err := c.set(key, node.Value, "file "+path); err != nil {
			return err
		}
	}
	return nil
}

// Environment reads the PAWL_ variables over c.
func (c *Config) Environment(lookup func(string) (string, bool)) error {
	for _, s := range settings(c) {
		name := "PAWL_" + strings.ToUpper(s.name)
		if v, ok := lookup(name); ok {
			if err := c.set(s.name, v, "environment "+name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Set changes one setting by name; origin is shown in errors.
func (c *Config) Set(name, value, origin string) error { return c.set(name, value, origin) }

func (c *Config) set(name, value, origin string) error {
	for _, s := range settings(c) {
		if s.name != name {
			continue
		}
		switch s.value.Kind() {
		case reflect.String:
			s.value.SetString(value)
		case reflect.Int:
			n, err := strconv.Atoi(value)
			if err != nil {
				return &ConfigError{Setting: name, Origin: origin, Problem: fmt.Sprintf("%q is not a number", value)}
			}
			s.value.SetInt(int64(n))
		case reflect.Bool:
			b, err := strconv.ParseBool(value)
			if err != nil {
				return &ConfigError{Setting: name, Origin: origin, Problem: fmt.Sprintf("%q is not true or false", value)}
			}
			s.value.SetBool(b)
		}
		if c.origins == nil {
			c.origins = map[string]string{}
		}
		c.origins[name] = origin
		return nil
	}
	return &ConfigError{Setting: name, Origin: origin, Problem: "is not a setting; did you mean " + nearest(name, Names()) + "?"}
}

// nearest gives the name with the smallest edit distance.
func nearest(name string, names []string) string {
	best, least := "", 1<<30
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prior := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			prior, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prior+cost)
		}
	}
	return row[len(b)]
}

// Check says what is wrong with c as a whole.
func (c *Config) Check() error {
	bad := func(setting, problem string) error {
		origin, ok := c.origins[setting]
		if !ok {
			origin = "default"
		}
		return &ConfigError{Setting: setting, Origin: origin, Problem: problem}
	}
	for _, a := range []struct{ name, addr string }{{"listen", c.Listen}, {"peer_listen", c.PeerListen}} {
		host, _, err := net.SplitHostPort(a.addr)
		if err != nil {
			return bad(a.name, fmt.Sprintf("%q is not HOST:PORT", a.addr))
		}
		if ip := net.ParseIP(host); !c.WithoutTLS && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return bad(a.name, fmt.Sprintf("%q is not a loopback address, and nothing is encrypted yet: set listen_without_tls to accept that", a.addr))
		}
	}
	if c.DebugListen != "" {
		host, _, err := net.SplitHostPort(c.DebugListen)
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return bad("debug_listen", fmt.Sprintf("%q is not a loopback HOST:PORT", c.DebugListen))
		}
	}
	switch c.Profile {
	case "lan", "fast", "wan":
	default:
		return bad("profile", fmt.Sprintf("%q is not lan, fast or wan", c.Profile))
	}
	switch c.Expect {
	case 0, 1, 3, 5:
	default:
		return bad("expect", fmt.Sprintf("%d is not 1, 3 or 5", c.Expect))
	}
	if c.Expect == 0 && c.Join == "" && c.Data == "" {
		return bad("expect", "a node without data needs expect, or addresses to join")
	}
	return nil
}

// Seeds lists the addresses of Join.
func (c *Config) Seeds() []string {
	var out []string
	for _, a := range strings.Split(c.Join, ",") {
		if a = strings.TrimSpace(a); a != "" {
			out = append(out, a)
		}
	}
	return out
}
