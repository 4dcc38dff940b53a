import COpenCL
import Compute
import ComputeKernels

/// A compiled program of one device.
final class OpenCLProgram {
  let handle: OpenCLProgramHandle
  let groupSize: Int
  let session: OpenCLSession

  private init(_ handle: OpenCLProgramHandle, of source: ProgramSource, _ session: OpenCLSession) {
    self.handle = handle
    groupSize = source.groupSize
    self.session = session
  }

  deinit { _ = session.library.releaseProgram(handle) }

  /// Compiles a source.
  ///
  /// - Throws: `DeviceError.Code.buildFailed` with the build log.
  convenience init(compiling source: ProgramSource, _ session: OpenCLSession) throws(DeviceError) {
    let check = OpenCLStatusCheck(operation: "compile \(source.file)")
    var status: OpenCLStatus = 0
    let handle = source.text(in: .openCL).withCString { text in
      var text: UnsafePointer<CChar>? = text
      return session.library.programWithSource(session.context, 1, &text, nil, &status)
    }
    self.init(try check.made(handle, status, "a program"), of: source, session)
    let options = (["-cl-std=CL1.2"] + source.options).joined(separator: " ")
    let built = build(options)
    guard built != OpenCLSuccess else { return }
    // Memory and lost devices have codes of their own; anything else is in the log.
    if [OpenCLOutOfHostMemory, OpenCLOutOfResources, OpenCLDeviceNotAvailable].contains(built) {
      try check(built, "a program for \(options)")
    }
    let log = OpenCLInfo { session.library.buildInfo(self.handle, session.device, $0, $1, $2, $3) }
    throw DeviceError(
      .buildFailed, operation: "compile \(source.file)", expected: "a program for \(options)", got: "errors",
      driverStatus: Int(built), detail: log.text(OpenCLBuildLog))
  }

  /// Loads a binary; `nil` when the driver does not take it.
  convenience init?(binary: [UInt8], of source: ProgramSource, _ session: OpenCLSession) {
    var status: OpenCLStatus = 0
    var device: OpenCLDeviceHandle? = session.device
    var length = binary.count
    let handle = binary.withUnsafeBufferPointer { bytes in
      var start = bytes.baseAddress
      return session.library.programWithBinary(session.context, 1, &device, &length, &start, nil, &status)
    }
    guard let handle else { return nil }
    self.init(handle, of: source, session)
    guard status == OpenCLSuccess, build("") == OpenCLSuccess else { return nil }
  }

  /// What the compiler made; `nil` when the driver keeps it to itself.
  var binary: [UInt8]? {
    let info = OpenCLInfo { self.session.library.programInfo(self.handle, $0, $1, $2, $3) }
    let size = info.number(OpenCLProgramBinarySizes, as: UInt.self)
    guard size > 0 else { return nil }
    var binary = [UInt8](repeating: 0, count: Int(size))
    let status = binary.withUnsafeMutableBufferPointer { bytes in
      var start = bytes.baseAddress
      return session.library.programInfo(
        handle, OpenCLProgramBinaries, MemoryLayout.size(ofValue: start), &start, nil)
    }
    return status == OpenCLSuccess ? binary : nil
  }

  private func build(_ options: String) -> OpenCLStatus {
    var device: OpenCLDeviceHandle? = session.device
    return session.library.build(handle, 1, &device, options, nil, nil)
  }
}

/// An entry of a program, with the arguments of its next launch.
final class OpenCLKernel {
  let handle: OpenCLKernelHandle
  let entry: String
  let program: OpenCLProgram

  init(_ entry: String, of program: OpenCLProgram) throws(DeviceError) {
    var status: OpenCLStatus = 0
    let kernel = program.session.library.createKernel(program.handle, entry, &status)
    handle = try OpenCLStatusCheck(operation: entry).made(kernel, status, "a kernel of this name")
    self.entry = entry
    self.program = program
  }

  deinit { _ = program.session.library.releaseKernel(handle) }
}
