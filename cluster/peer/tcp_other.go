//go:build !linux

package peer

import (
	"context"
	"net"
)

func listenTCP(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}
