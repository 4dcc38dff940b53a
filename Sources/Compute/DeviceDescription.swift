/// What a device is, for people and for planning.
public struct DeviceDescription: Sendable, Equatable {
  /// The class of a device.
  public enum Kind: String, Sendable, CaseIterable {
    /// A processor, which programs share with everything else.
    case processor
    /// A graphics processor.
    case gpu
    /// Any other device made to compute.
    case accelerator
  }

  /// The backend, such as `cpu`.
  public var backend: String
  /// The device's own name.
  public var name: String
  /// What class of device it is.
  public var kind: Kind
  /// The device's memory in bytes.
  public var memory: Int
  /// The bytes of it that were free when this description was made; `nil` where the driver does not tell.
  public var freeMemory: Int?
  /// The floating point types that its arithmetic takes as they are; backends convert all others on the way.
  public var nativeTypes: [ElementType]
  /// Driver, libraries and instruction sets with their versions, one phrase each.
  public var details: [String]

  /// Describes a device.
  public init(
    backend: String, name: String, kind: Kind, memory: Int, freeMemory: Int? = nil, nativeTypes: [ElementType],
    details: [String]
  ) {
    self.backend = backend
    self.name = name
    self.kind = kind
    self.memory = memory
    self.freeMemory = freeMemory
    self.nativeTypes = nativeTypes
    self.details = details
  }
}
