import Testing

/// All tests on the emulated device: one after another, because they share its settings.
@Suite("CUDA on the emulated device", .serialized) struct EmulatedDeviceTests {}
