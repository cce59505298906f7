# The messages of examples/capnproto: capnp compile -orust fill.capnp
@0xd1f4a5c7b2e60913;

struct Fill {
  symbol @0 :Text;
  price @1 :Float64;
  venues @2 :List(Text);
}
