// SPDX-License-Identifier: Apache-2.0
public import QuernStore
public import SystemPackage

/// Linux's pressure stall information: which part of the last ten seconds tasks of this machine, or of a cgroup, were
/// kept waiting for the disk, for memory or for a processor.
///
/// Other systems, and kernels without it, tell nothing: no pressure. The work of the scheduler itself counts too, so
/// that tasks that load the disk hold back those of worse priority.
public struct PressureStall: PressureSource {
    public enum Resource: String, Sendable, CaseIterable {
        case io, memory, cpu
    }

    public let name: String
    private let path: FilePath
    private let saturation: Double

    /// That of the whole machine.
    ///
    /// - Parameter saturation: which part of the time counts as a pressure of 1.
    public init(_ resource: Resource, saturation: Double = 1) {
        let path = FilePath("/proc/pressure").appending(resource.rawValue)
        self.init(name: resource.rawValue, path: path, saturation: saturation)
    }

    /// That of a cgroup.
    ///
    /// - Parameters:
    ///   - path: its file, such as `io.pressure` in the directory of the cgroup.
    ///   - saturation: which part of the time counts as a pressure of 1.
    public init(name: String, path: FilePath, saturation: Double = 1) {
        self.name = name
        self.path = path
        self.saturation = max(saturation, 1e-6)
    }

    public func pressure(at now: Timestamp) -> Double? {
        Self.stalledShare(in: readFile()).map { $0 / saturation }
    }

    /// Some hundred bytes, which the kernel makes without waiting for anything.
    private func readFile() -> String {
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = try? bytes.withUnsafeMutableBytes { buffer in
            let file = try FileDescriptor.open(path, .readOnly)
            return try file.closeAfter { try file.read(into: buffer) }
        }
        return String(decoding: bytes.prefix(count ?? 0), as: UTF8.self)
    }

    /// From a line such as `some avg10=1.25 avg60=0.80 avg300=0.21 total=123`: the part of the time in which at least
    /// one task waited. Nil when there is no such line.
    static func stalledShare(in text: String) -> Double? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.first == "some", let word = words.first(where: { $0.hasPrefix("avg10=") }),
                let percent = Double(word.dropFirst(6)), (0...100).contains(percent)
            else { continue }
            return percent / 100
        }
        return nil
    }
}
