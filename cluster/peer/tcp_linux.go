package peer

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout is how long the kernel keeps bytes that nobody acknowledges: it
// is the end of connections that raft reads without a deadline.
const userTimeout = 5 * time.Second

func listenTCP(addr string) (net.Listener, error) {
	c := net.ListenConfig{Control: setUserTimeout}
	return c.Listen(context.Background(), "tcp", addr)
}

func dialTCP(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Control: setUserTimeout}
	return d.DialContext(ctx, "tcp", addr)
}

// setUserTimeout sets TCP_USER_TIMEOUT, which accepted sockets inherit.
func setUserTimeout(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("set tcp user timeout: %w", err)
	}
	return nil
}
