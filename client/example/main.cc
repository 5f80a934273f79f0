// Puts, gets and deletes a key. Endpoints are the arguments, or those of a cluster on this machine.

#include <bedrock/client.h>

#include <iostream>

int main(int argc, char** argv) {
  bedrock::ClientOptions options;
  options.endpoints = {"tcp://127.0.0.1:7000", "tcp://127.0.0.1:7001", "tcp://127.0.0.1:7002"};
  if (argc > 1) options.endpoints.assign(argv + 1, argv + argc);

  auto connected = bedrock::Client::Connect(options);
  if (!connected.ok()) {
    std::cerr << connected.status().ToString() << "\n";
    return 1;
  }
  bedrock::Client& client = **connected;

  const bedrock::Result<bedrock::Version> put = client.Put("greeting", "hello");
  if (!put.ok()) {
    std::cerr << "put: " << put.status().ToString() << "\n";
    return 1;
  }
  std::cout << "put at version " << put->value() << "\n";

  std::string value;
  if (bedrock::Status s = client.Get("greeting", &value); !s.ok())
    std::cerr << s.ToString() << "\n";
  std::cout << "get gives " << value << "\n";

  if (bedrock::Status s = client.Delete("greeting"); !s.ok()) std::cerr << s.ToString() << "\n";
  std::cout << "absent again: " << client.Get("greeting", &value).IsNotFound() << "\n";
}
