// SPDX-License-Identifier: Apache-2.0

/// An image in memory, three bytes a pixel, and its file format: binary PPM ("P6"), which needs no library.
public struct PixelImage: Sendable, Equatable {
    /// Why bytes are no image.
    public struct FormatError: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
    }

    public let width: Int
    public let height: Int
    /// Red, green, blue, row by row.
    public private(set) var pixels: [UInt8]

    /// No larger image is read: 64 megapixels.
    public static let mostPixels = 64 << 20

    public init(width: Int, height: Int, pixels: [UInt8]) throws(FormatError) {
        guard width > 0, height > 0, width <= Self.mostPixels, height <= Self.mostPixels / width,
            pixels.count == 3 * width * height
        else { throw FormatError(description: "\(pixels.count) bytes are no \(width) x \(height) image") }
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// Reads a file's bytes.
    public init(ppm bytes: [UInt8]) throws(FormatError) {
        var fields: [Int] = []
        guard bytes.starts(with: Array("P6".utf8)) else { throw FormatError(description: "not a binary PPM file") }
        var index = 2
        while fields.count < 3 {
            while index < bytes.count, bytes[index] == 0x20 || (0x09...0x0D).contains(bytes[index]) { index += 1 }
            if index < bytes.count, bytes[index] == UInt8(ascii: "#") {
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
                continue
            }
            var value = 0
            let start = index
            while index < bytes.count, (0x30...0x39).contains(bytes[index]), index - start < 9 {
                value = value * 10 + Int(bytes[index] - 0x30)
                index += 1
            }
            guard index > start else { throw FormatError(description: "the header is cut off or no number") }
            fields.append(value)
        }
        guard fields[2] == 255, index < bytes.count else { throw FormatError(description: "not 8 bits a color") }
        try self.init(width: fields[0], height: fields[1], pixels: Array(bytes[(index + 1)...]))
    }

    /// The bytes of a file.
    public var ppm: [UInt8] { Array("P6\n\(width) \(height)\n255\n".utf8) + pixels }

    /// Scaled down so that no side is longer than `side`: each pixel is the mean of those that it stands for.
    public func scaled(toFit side: Int) -> PixelImage {
        let longest = max(width, height)
        guard longest > side, side > 0 else { return self }
        let (newWidth, newHeight) = (max(1, width * side / longest), max(1, height * side / longest))
        var result = [UInt8](repeating: 0, count: 3 * newWidth * newHeight)
        for y in 0..<newHeight {
            let rows = (y * height / newHeight)..<max(y * height / newHeight + 1, (y + 1) * height / newHeight)
            for x in 0..<newWidth {
                let columns = (x * width / newWidth)..<max(x * width / newWidth + 1, (x + 1) * width / newWidth)
                for color in 0..<3 {
                    var sum = 0
                    for row in rows { for column in columns { sum += Int(pixels[3 * (row * width + column) + color]) } }
                    result[3 * (y * newWidth + x) + color] = UInt8(sum / (rows.count * columns.count))
                }
            }
        }
        var image = self
        image = (try? PixelImage(width: newWidth, height: newHeight, pixels: result)) ?? image
        return image
    }
}
