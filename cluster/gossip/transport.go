package gossip

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// maxPacket is more than memberlist ever sends in one.
	maxPacket = 64 << 10
	// acceptPause is the wait after a stream that was not taken.
	acceptPause = 100 * time.Millisecond
	// bindTries is how often a free port for packets is looked for that is free
	// for streams as well.
	bindTries = 10
)

// transport carries memberlist's packets by UDP and its streams by Streams.
type transport struct {
	udp     *net.UDPConn
	streams Streams
	packets chan *memberlist.Packet
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
	wg      sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

func newTransport(c Config) (*transport, error) {
	udp, streams, err := bind(c)
	for range bindTries {
		if err == nil || c.Port != 0 {
			break
		}
		udp, streams, err = bind(c)
	}
	if err != nil {
		return nil, err
	}
	t := &transport{
		udp: udp, streams: streams, packets: make(chan *memberlist.Packet),
		conns: make(chan net.Conn), done: make(chan struct{}),
	}
	t.wg.Go(t.receive)
	t.wg.Go(t.accept)
	return t, nil
}

// bind takes the port for packets, and for streams unless they come from
// elsewhere.
func bind(c Config) (*net.UDPConn, Streams, error) {
	addr, err := net.ResolveUDPAddr("udp", hostPort(c.Bind, c.Port))
	if err != nil {
		return nil, nil, fmt.Errorf("resolve: %w", err)
	}
	udp, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w", err)
	}
	if c.Streams != nil {
		return udp, c.Streams, nil
	}
	l, err := net.Listen("tcp", hostPort(c.Bind, portOf(udp)))
	if err != nil {
		udp.Close()
		return nil, nil, fmt.Errorf("listen for streams: %w", err)
	}
	return udp, tcp{l}, nil
}

// tcp is Streams over plain TCP.
type tcp struct{ net.Listener }

func (tcp) DialAny(addr string, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout("tcp", addr, timeout)
}

func portOf(c *net.UDPConn) int { return c.LocalAddr().(*net.UDPAddr).Port }

// receive hands packets to memberlist until the socket closes.
func (t *transport) receive() {
	buf := make([]byte, maxPacket)
	for {
		n, from, err := t.udp.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue // an ICMP answer to an earlier packet; the socket is well
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}
		select {
		case t.packets <- p:
		case <-t.done:
			return
		}
	}
}

// accept hands streams to memberlist until they end.
func (t *transport) accept() {
	for {
		c, err := t.streams.Accept()
		if err != nil {
			select {
			case <-t.done:
				return
			case <-time.After(acceptPause):
				continue
			}
		}
		select {
		case t.conns <- c:
		case <-t.done:
			c.Close()
			return
		}
	}
}

// FinalAdvertiseAddr gives the address that others are told.
func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if ip != "" {
		parsed := net.ParseIP(ip)
		if parsed == nil {
			return nil, 0, fmt.Errorf("advertise %q: no IP address", ip)
		}
		return short(parsed), port, nil
	}
	local := t.udp.LocalAddr().(*net.UDPAddr)
	if !local.IP.IsUnspecified() {
		return short(local.IP), local.Port, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, 0, fmt.Errorf("find an address to advertise: %w", err)
	}
	var last net.IP
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && (n.IP.IsGlobalUnicast() || n.IP.IsLoopback()) {
			if last = n.IP; !n.IP.IsLoopback() && n.IP.To4() != nil {
				break
			}
		}
	}
	if last == nil {
		return nil, 0, errors.New("find an address to advertise: no interface has one")
	}
	return short(last), local.Port, nil
}

func short(ip net.IP) net.IP {
	if v4 := ip.To4(); v4 != nil {
		return v4
	}
	return ip
}

// WriteTo sends a packet.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.udp.WriteTo(b, to)
	return time.Now(), err
}

// WriteToAddress sends a packet; the name is not needed.
func (t *transport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, addr.Addr)
}

// PacketCh is where packets come out.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout opens a stream.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.streams.DialAny(addr, timeout)
}

// DialAddressTimeout opens a stream; the name is not needed.
func (t *transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.streams.DialAny(addr.Addr, timeout)
}

// StreamCh is where streams come out.
func (t *transport) StreamCh() <-chan net.Conn { return t.conns }

// Shutdown closes the socket and the streams, and waits for the goroutines.
func (t *transport) Shutdown() error {
	var err error
	t.once.Do(func() {
		close(t.done)
		err = errors.Join(t.udp.Close(), t.streams.Close())
	})
	t.wg.Wait()
	return err
}
