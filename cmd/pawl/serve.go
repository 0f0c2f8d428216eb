package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pawlhq/pawl/cmd/pawl/server"
)

func newServer() *cobra.Command {
	var file string
	flags := server.Defaults()
	c := &cobra.Command{
		Use: "server", Short: "Run one node of a cluster",
		Long: `Run one node. Settings come from defaults, then a YAML file (--config), then PAWL_
variables, then flags. Nodes that found a cluster together are started with the same
--expect and each other's addresses in --join; once it is founded, both mean nothing.

Exit codes: 0 asked to, 64 bad configuration, 65 damaged data, 66 wrong cluster or
identity, 70 broken invariant, 71 storage error, 72 a write that hung, 73 no space,
74 data of a newer version. A supervisor may restart a node on 70 to 73.`,
		Example: `  pawl server --data /var/lib/pawl --expect 1
  pawl server --config node1.yaml --expect 3 --join 10.0.0.2:7401,10.0.0.3:7401`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd.Flags(), file)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cmd, cfg)
		},
	}
	c.Flags().StringVar(&file, "config", os.Getenv("PAWL_CONFIG"), "YAML file with settings (PAWL_CONFIG)")
	serverFlags(c.Flags(), &flags)
	return c
}

// flagName is a setting's flag: its name with dashes.
func flagName(setting string) string { return strings.ReplaceAll(setting, "_", "-") }

func serverFlags(f *pflag.FlagSet, d *server.Config) {
	f.StringVar(&d.Data, "data", d.Data, "the node's folder (PAWL_DATA); needed to survive a restart")
	f.StringVar(&d.Listen, "listen", d.Listen, "where clients and workers connect (PAWL_LISTEN)")
	f.StringVar(&d.Advertise, "advertise", d.Advertise, "address that clients are sent to; --listen when empty (PAWL_ADVERTISE)")
	f.StringVar(&d.PeerListen, "peer-listen", d.PeerListen, "where other nodes connect (PAWL_PEER_LISTEN)")
	f.StringVar(&d.PeerAdvertise, "peer-advertise", d.PeerAdvertise, "address that other nodes are told (PAWL_PEER_ADVERTISE)")
	f.BoolVar(&d.Gossip, "gossip", d.Gossip, "find peers by gossip (PAWL_GOSSIP)")
	f.StringVar(&d.Join, "join", d.Join, "peer addresses to try, comma separated (PAWL_JOIN)")
	f.IntVar(&d.Expect, "expect", d.Expect, "how many nodes found the cluster together: 1, 3 or 5 (PAWL_EXPECT)")
	f.StringVar(&d.Profile, "profile", d.Profile, "lan, fast or wan: how soon a silent leader is noticed (PAWL_PROFILE)")
	f.StringVar(&d.DebugListen, "debug-listen", d.DebugListen, "loopback address for profiles; off when empty (PAWL_DEBUG_LISTEN)")
	f.StringVar(&d.LogLevel, "log-level", d.LogLevel, "debug, info, warn or error (PAWL_LOG_LEVEL)")
	f.BoolVar(&d.WithoutTLS, "listen-without-tls", d.WithoutTLS, "accept addresses beyond loopback although nothing is encrypted (PAWL_LISTEN_WITHOUT_TLS)")
}

func loadConfig(flags *pflag.FlagSet, file string) (server.Config, error) {
	cfg := server.Defaults()
	if file != "" {
		if err := cfg.File(file); err != nil {
			return cfg, err
		}
	}
	if err := cfg.Environment(os.LookupEnv); err != nil {
		return cfg, err
	}
	for _, name := range server.Names() {
		if f := flags.Lookup(flagName(name)); f != nil && f.Changed {
			if err := cfg.Set(name, f.Value.String(), "flag --"+f.Name); err != nil {
				return cfg, err
			}
		}
	}
	return cfg, cfg.Check()
}

func newLog(cmd *cobra.Command, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, &server.ConfigError{Setting: "log_level", Origin: "flags, environment or file", Problem: fmt.Sprintf("%q is not debug, info, warn or error", level)}
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: l})), nil
}

// serve runs a node until it is asked to end, and turns its errors into exit codes.
func serve(ctx context.Context, cmd *cobra.Command, cfg server.Config) error {
	log, err := newLog(cmd, cfg.LogLevel)
	if err != nil {
		return err
	}
	tuneMemory()
	n, err := server.Open(ctx, cfg, server.Options{Log: log, Version: version})
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to end before it belonged to a cluster
		}
		return err
	}
	log.Info("serving", "node", n.ID(), "clients", n.Addr())
	return n.Run(ctx)
}
